import { svelte } from "@sveltejs/vite-plugin-svelte";
import tailwindcss from "@tailwindcss/vite";
import { defineConfig } from "vite";

// `npm run dev` passes the API on to this server; `./dev up` runs one there.
const server = process.env.PATHFINDER_SERVER ?? "https://127.0.0.1:8480";

export default defineConfig({
  base: "/ui/",
  plugins: [tailwindcss(), svelte()],
  build: {
    outDir: process.env.WEBUI_OUT ?? "../src/pathfinder/webui/static",
    emptyOutDir: true,
    // The policy of the pages admits files only: nothing is put into them as data:.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    reportCompressedSize: false,
  },
  server: {
    // Host stays as the browser sent it: a change has to come from the page's own origin.
    proxy: { "/api": { target: server, secure: false, changeOrigin: false } },
  },
});

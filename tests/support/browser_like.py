"""A client that speaks as a browser does: it keeps cookies, and says which page asks."""

from collections.abc import Mapping
from http.cookies import SimpleCookie

from tests.support.running import Answer, Api

OWN = {"X-Pathfinder-Web": "1"}


class BrowserLike:
    """One browser with our page open."""

    def __init__(self, port: int) -> None:
        self.api = Api(port, token="")
        self.origin = f"http://127.0.0.1:{port}"
        self.cookies: dict[str, str] = {}

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """A request of our page; a header that is None is left out."""
        sent: dict[str, str | None] = {**OWN, "Origin": self.origin, **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        given = {name: value for name, value in sent.items() if value is not None}
        answer = self.api.call(method, path, body, headers=given)
        for name, morsel in SimpleCookie(answer.headers.get("set-cookie", "")).items():
            self.cookies[name] = morsel.value
            if morsel["max-age"] == "0":
                del self.cookies[name]
        return answer

    def sign_in(self, name: str, password: str) -> Answer:
        """Sign in, as the page does."""
        return self.call("POST", "/api/v3/sign-in", {"name": name, "password": password})

    def close(self) -> None:
        """Let go of the connection."""
        self.api.connection.close()

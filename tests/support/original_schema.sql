-- The tables of the original Pathfinder, as its last migration leaves them.

CREATE TABLE users (
    id bigserial PRIMARY KEY,
    username character varying NOT NULL,
    email character varying DEFAULT '' NOT NULL,
    encrypted_password character varying DEFAULT '' NOT NULL,
    reset_password_token character varying,
    reset_password_sent_at timestamp without time zone,
    remember_created_at timestamp without time zone,
    sign_in_count integer DEFAULT 0 NOT NULL,
    current_sign_in_at timestamp without time zone,
    last_sign_in_at timestamp without time zone,
    current_sign_in_ip inet,
    last_sign_in_ip inet,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);

CREATE TABLE clusters (
    id bigserial PRIMARY KEY,
    name character varying NOT NULL UNIQUE,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL,
    hashed_password character varying,
    password_updated_at timestamp without time zone
);

CREATE TABLE nodes (
    id bigserial PRIMARY KEY,
    cluster_id integer NOT NULL REFERENCES clusters (id),
    hostname character varying NOT NULL UNIQUE,
    ipaddress character varying,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL,
    hashed_authentication_token character varying,
    authentication_token_generated_at timestamp without time zone,
    mem_free_mb bigint,
    mem_used_mb bigint,
    mem_total_mb bigint,
    load_capacity numeric,
    load_avg_1m numeric,
    load_avg_5m numeric,
    load_avg_15m numeric,
    disk_root_used_mb bigint,
    disk_root_total_mb bigint,
    disk_zfs_used_mb bigint,
    disk_zfs_total_mb bigint,
    schedulable boolean NOT NULL
);

CREATE TABLE remotes (
    id bigserial PRIMARY KEY,
    name character varying NOT NULL UNIQUE,
    server character varying,
    protocol character varying NOT NULL,
    auth_type character varying NOT NULL,
    certificate text,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);

CREATE TABLE sources (
    id bigserial PRIMARY KEY,
    source_type character varying NOT NULL,
    mode character varying NOT NULL,
    remote_id integer REFERENCES remotes (id),
    fingerprint character varying,
    alias character varying,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);

CREATE TABLE containers (
    id bigserial PRIMARY KEY,
    cluster_id integer NOT NULL REFERENCES clusters (id),
    hostname character varying NOT NULL,
    ipaddress character varying,
    image_alias character varying,
    node_id integer REFERENCES nodes (id),
    status character varying NOT NULL,
    last_status_update_at timestamp without time zone,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL,
    source_id integer REFERENCES sources (id),
    bootstrappers jsonb DEFAULT '[]' NOT NULL,
    container_type character varying NOT NULL
);

CREATE TABLE deployments (
    id bigserial PRIMARY KEY,
    cluster_id bigint NOT NULL REFERENCES clusters (id),
    name character varying NOT NULL,
    desired_num_replicas integer DEFAULT 1 NOT NULL,
    definition jsonb NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL,
    min_available_replicas integer DEFAULT 1 NOT NULL,
    last_error_msg character varying,
    last_error_at timestamp without time zone
);

CREATE TABLE ext_apps (
    id bigserial PRIMARY KEY,
    name character varying NOT NULL UNIQUE,
    description text,
    user_id integer NOT NULL REFERENCES users (id),
    hashed_access_token character varying NOT NULL,
    access_token_generated_at timestamp without time zone NOT NULL,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);

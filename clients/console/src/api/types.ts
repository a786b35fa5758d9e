// The answers of the admin interface (docs/operations/http.md). Integers past 2^53 come as decimal strings.

export type Int = number | string;

export type Problem = { code: string; severity: 'warning' | 'critical'; what: string; todo: string; doc?: string | null };

export type Overview = {
  server: { version: string; started_at: number; now: number; loops: number; listen: string; public_url: string | null };
  health: { status: 'ready' | 'not_ready'; reason: string | null; problems: Problem[] };
  tail: {
    mode: 'logical' | 'journal' | 'down'; reason: string | null; changed_at: number | null; silence_ms: number | null;
    topics_followed: number; epoch: Int; slot: { name: string; retained_wal_bytes: Int | null; state: string } | null;
  };
  connections: {
    open: number; joined: number; limit: number; admin: number; accepted_total: Int; reconnects_total: Int;
  };
  totals: {
    events_in: Int; events_out: Int; bytes_out: Int; batches: Int; joins: Int; replays: Int; page_hits: Int; page_misses: Int;
    rate_limited: Int; slow_consumers: Int; stale_cursors: Int; denials: Record<string, Int>; heartbeats: Int; timeouts: Int;
  };
  /** Cumulative counts: counts[i] observations took at most buckets_ms[i]. */
  latency: { buckets_ms: number[]; counts: Int[]; count: Int; sum_ms: number };
  lag: { events_max: number; seconds_max: number };
  loops: { utilisation: number; sockets: number }[];
  database: {
    reachable: boolean; server_version?: string | null; extension_version?: string | null; in_recovery?: boolean | null;
    worker_pid?: number | null; stats?: Record<string, unknown> | null;
  } | null;
};

export type Policy = {
  pattern?: string; horizon_s?: number | null; qos_tier?: string; replay_budget_events?: Int; max_payload_bytes?: Int;
  payload_mode?: string; max_inline_bytes?: Int; publish_rate?: Int; [other: string]: unknown;
};

export type TopicRow = {
  topic: string; head_watermark: Int; retention_floor: Int; retained: Int; in_flight: Int; epoch: Int; oldest_at: number | null;
  subscribers: number; policy: Policy | null;
};
export type TopicPage = { topics: TopicRow[]; next_after: string | null; total: number | null };

export type JournalEvent = {
  watermark: Int; epoch: Int; doc_key?: string; doc_version: Int; op: 'upsert' | 'delete' | 'truncate' | 'void';
  payload: unknown; payload_hash: string | null; inserted_at: number;
};
export type EventPage = { topic: string; doc_key?: string; events: JournalEvent[]; next_before: Int | null };

export type SessionTopic = { topic: string; watermark: Int; head_watermark: Int; lag: number };
export type SessionRow = {
  id: string; subject: string; org_id: string | null; session_id: string | null; device_id: string | null; token_id: string | null;
  address: string; client: string | null; client_build_id: string | null; encoding: string; connected_at: number;
  token_expires_at: number | null; status: 'live' | 'catching_up' | 'stalled'; strikes: number; bytes_out: Int; topics_total: number;
  lag_events_max: number; topics: SessionTopic[]; loop: number;
};
export type SessionPage = { sessions: SessionRow[]; total: number; truncated: boolean };

export type RevokeReason = 'admin_revoked' | 'user_requested' | 'token_replay' | 'device_replaced' | 'security_policy';
export type Revocation = {
  session_ids?: string[]; device_ids?: string[]; jtis?: string[]; reason: RevokeReason;
};
export type Revoked = { revoked: number; reason: string; expires_at: unknown };

export type StoredDocument = { doc_key: string; doc_version: Int; payload: unknown; payload_hash: string };
export type SnapshotPage = {
  topic: string; epoch: Int; watermark: Int; documents: StoredDocument[]; next_page_token: string | null;
};

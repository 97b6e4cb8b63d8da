//! Definitions of all series: name, help text and labels. The methods of [`Metrics`](super::Metrics) update them.

use super::family::{self, Count, LevelGauge, MetricsRegistry, Seconds, SeriesFamily};
use prometheus_client::metrics::histogram::Histogram;

pub(super) struct Start {
    pub(super) build: SeriesFamily<LevelGauge, 1>,
    pub(super) config: SeriesFamily<LevelGauge, 1>,
    pub(super) config_loaded: LevelGauge,
    pub(super) config_loaded_at: LevelGauge,
    pub(super) started_at: LevelGauge,
    pub(super) watches: LevelGauge,
}

pub(super) struct Chain {
    pub(super) head: SeriesFamily<LevelGauge, 1>,
    pub(super) head_time: SeriesFamily<LevelGauge, 1>,
    pub(super) processed: SeriesFamily<LevelGauge, 1>,
    pub(super) processed_time: SeriesFamily<LevelGauge, 1>,
    pub(super) safe: SeriesFamily<LevelGauge, 1>,
    pub(super) finalized: SeriesFamily<LevelGauge, 1>,
    pub(super) slot: SeriesFamily<LevelGauge, 1>,
    pub(super) skew: SeriesFamily<LevelGauge, 1>,
    pub(super) phase: SeriesFamily<LevelGauge, 2>,
    pub(super) blocks: SeriesFamily<Count, 1>,
    pub(super) reorgs: SeriesFamily<Count, 1>,
    pub(super) depth: SeriesFamily<Histogram, 1>,
    pub(super) refused: SeriesFamily<Count, 3>,
    pub(super) unverified: SeriesFamily<Count, 1>,
    pub(super) blind: SeriesFamily<LevelGauge, 2>,
    pub(super) blind_seconds: SeriesFamily<Seconds, 1>,
}

pub(super) struct Rpc {
    pub(super) requests: SeriesFamily<Count, 4>,
    pub(super) seconds: SeriesFamily<Histogram, 3>,
    pub(super) hedged: SeriesFamily<Count, 1>,
    pub(super) disagreement: SeriesFamily<Count, 1>,
}

pub(super) struct Endpoint {
    pub(super) up: SeriesFamily<LevelGauge, 2>,
    pub(super) lag: SeriesFamily<LevelGauge, 2>,
    pub(super) quarantined: SeriesFamily<LevelGauge, 2>,
    pub(super) strikes: SeriesFamily<Count, 2>,
    pub(super) ability: SeriesFamily<LevelGauge, 3>,
}

pub(super) struct Queue {
    pub(super) length: SeriesFamily<LevelGauge, 2>,
    pub(super) room: SeriesFamily<LevelGauge, 2>,
    pub(super) dropped: SeriesFamily<Count, 2>,
}

pub(super) struct Judging {
    pub(super) verdicts: SeriesFamily<Count, 3>,
    pub(super) decode_failures: SeriesFamily<Count, 1>,
    pub(super) judge: SeriesFamily<Histogram, 1>,
    pub(super) detection: SeriesFamily<Histogram, 1>,
    pub(super) commit: SeriesFamily<Histogram, 1>,
    pub(super) head_to_commit: SeriesFamily<Histogram, 1>,
    pub(super) block_to_commit: SeriesFamily<Histogram, 1>,
}

pub(super) struct Incidents {
    pub(super) open: SeriesFamily<LevelGauge, 2>,
    pub(super) opened: SeriesFamily<Count, 1>,
    pub(super) escalations: SeriesFamily<Count, 2>,
}

pub(super) struct Delivery {
    pub(super) ended: SeriesFamily<Count, 2>,
    pub(super) attempts: SeriesFamily<Count, 2>,
    pub(super) seconds: SeriesFamily<Histogram, 1>,
    pub(super) page: SeriesFamily<Histogram, 1>,
    pub(super) failing: SeriesFamily<LevelGauge, 1>,
    pub(super) pending: SeriesFamily<LevelGauge, 1>,
    pub(super) oldest: SeriesFamily<LevelGauge, 1>,
    pub(super) dead: LevelGauge,
}

pub(super) struct Stored {
    pub(super) write_errors: Count,
    pub(super) free: LevelGauge,
    pub(super) size: LevelGauge,
}

pub(super) struct Signs {
    pub(super) check: SeriesFamily<LevelGauge, 1>,
    pub(super) beat_at: SeriesFamily<LevelGauge, 1>,
    pub(super) every: SeriesFamily<LevelGauge, 1>,
    pub(super) beats: SeriesFamily<Count, 2>,
}

pub(super) struct Services {
    pub(super) requests: SeriesFamily<Count, 3>,
    pub(super) quota: SeriesFamily<LevelGauge, 2>,
    pub(super) month: SeriesFamily<LevelGauge, 2>,
    pub(super) says: SeriesFamily<LevelGauge, 2>,
    pub(super) paused: SeriesFamily<LevelGauge, 2>,
    pub(super) seen_at: SeriesFamily<LevelGauge, 2>,
    pub(super) queued: SeriesFamily<LevelGauge, 2>,
}

impl Start {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        Self {
            build: book.gauge_family("build_info", "The program's version; always 1", ["version"]),
            config: book.gauge_family(
                "config_hash_info",
                "SHA-256 of the configuration in force; always 1",
                ["sha256"],
            ),
            config_loaded: book
                .single_gauge("config_last_reload_successful", "Whether the configuration was read without a problem"),
            config_loaded_at: book.single_gauge(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration in force was read, Unix time",
            ),
            started_at: book.single_gauge("start_timestamp_seconds", "When the program started, Unix time"),
            watches: book.single_gauge("watches", "Watches in the configuration"),
        }
    }
}

impl Chain {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        let chain = ["chain"];
        Self {
            head: book.gauge_family("chain_head_number", "The newest block that an endpoint named", chain),
            head_time: book.gauge_family(
                "chain_head_timestamp_seconds",
                "Block time of the newest block, Unix time",
                chain,
            ),
            processed: book.gauge_family(
                "chain_processed_number",
                "The newest block that was judged and committed",
                chain,
            ),
            processed_time: book.gauge_family(
                "chain_processed_timestamp_seconds",
                "Block time of the newest block that was judged and committed, Unix time",
                chain,
            ),
            safe: book.gauge_family("chain_safe_number", "The newest safe block", chain),
            finalized: book.gauge_family("chain_finalized_number", "The newest finalized block", chain),
            slot: book.gauge_family("chain_slot_seconds", "Seconds between two blocks, as configured or known", chain),
            skew: book.gauge_family(
                "chain_clock_skew_seconds",
                "How far the newest block's time lies ahead of our clock",
                chain,
            ),
            phase: book.gauge_family("chain_phase", "1 for what the chain's source is doing", ["chain", "phase"]),
            blocks: book.counter_family("chain_blocks_total", "Blocks judged and committed", chain),
            reorgs: book.counter_family("chain_reorgs_total", "Reorgs that undid committed blocks", chain),
            depth: book.histogram_family(
                "chain_reorg_depth_blocks",
                "Blocks undone by a reorg",
                chain,
                family::block_count_histogram,
            ),
            refused: book.counter_family(
                "blocks_refused_total",
                "Blocks that did not verify against their own header",
                ["chain", "endpoint", "reason"],
            ),
            unverified: book.counter_family("blocks_unverified_total", "Blocks judged without being verified", chain),
            blind: book.gauge_family("blind", "1 while the chain cannot be seen for this reason", ["chain", "kind"]),
            blind_seconds: book.seconds_counter_family(
                "blind_seconds_total",
                "Time during which the chain could not be seen",
                chain,
            ),
        }
    }
}

impl Rpc {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        Self {
            requests: book.counter_family(
                "rpc_requests_total",
                "Requests to nodes",
                ["chain", "endpoint", "method", "outcome"],
            ),
            seconds: book.histogram_family(
                "rpc_request_duration_seconds",
                "Time that a node took to answer, or until it was given up",
                ["chain", "endpoint", "method"],
                family::short_duration_histogram,
            ),
            hedged: book.counter_family(
                "rpc_hedged_total",
                "Requests sent to a second endpoint because the first took long",
                ["chain"],
            ),
            disagreement: book.counter_family(
                "rpc_disagreement_total",
                "Times that endpoints named different blocks at one height",
                ["chain"],
            ),
        }
    }
}

impl Endpoint {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        let endpoint = ["chain", "endpoint"];
        Self {
            up: book.gauge_family("endpoint_up", "Whether the endpoint answers", endpoint),
            lag: book.gauge_family(
                "endpoint_lag_blocks",
                "Blocks that the endpoint is behind the newest head",
                endpoint,
            ),
            quarantined: book.gauge_family(
                "endpoint_quarantined",
                "Whether nothing that the endpoint says is let through",
                endpoint,
            ),
            strikes: book.counter_family(
                "endpoint_strikes_total",
                "Times that the endpoint said what cannot be true",
                endpoint,
            ),
            ability: book.gauge_family(
                "endpoint_ability",
                "Whether the endpoint can do this",
                ["chain", "endpoint", "ability"],
            ),
        }
    }
}

impl Queue {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        let queue = ["chain", "queue"];
        Self {
            length: book.gauge_family("queue_length", "What waits in a bounded queue", queue),
            room: book.gauge_family("queue_capacity", "What may wait in a bounded queue", queue),
            dropped: book.counter_family(
                "queue_dropped_total",
                "What found a bounded queue full and was dropped",
                queue,
            ),
        }
    }
}

impl Judging {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        let chain = ["chain"];
        Self {
            verdicts: book.counter_family("verdicts_total", "Activities judged", ["watch", "verdict", "severity"]),
            decode_failures: book.counter_family(
                "decode_failures_total",
                "Activities that could not be decoded to their last byte",
                chain,
            ),
            judge: book.histogram_family(
                "judge_duration_seconds",
                "Time to decode and judge a block, questions to the node included",
                chain,
                family::short_duration_histogram,
            ),
            detection: book.histogram_family(
                "detection_latency_seconds",
                "From a block's own time to its committed verdicts",
                chain,
                family::long_duration_histogram,
            ),
            commit: book.histogram_family(
                "commit_duration_seconds",
                "Time to commit a step",
                chain,
                family::short_duration_histogram,
            ),
            head_to_commit: book.histogram_family(
                "head_to_commit_seconds",
                "From the first word of a block to its committed verdicts, fetching included",
                chain,
                family::fine_duration_histogram,
            ),
            block_to_commit: book.histogram_family(
                "block_to_commit_seconds",
                "From a block at hand, fetched and checked, to its committed verdicts",
                chain,
                family::fine_duration_histogram,
            ),
        }
    }
}

impl Incidents {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        Self {
            open: book.gauge_family("incidents_open", "Incidents that are not over", ["severity", "state"]),
            opened: book.counter_family("incidents_total", "Incidents opened", ["severity"]),
            escalations: book.counter_family("escalations_total", "Steps of paths that were told", ["path", "step"]),
        }
    }
}

impl Delivery {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        let destination = ["destination"];
        let outcome = ["destination", "outcome"];
        Self {
            ended: book.counter_family("deliveries_total", "Messages sent or given up", outcome),
            attempts: book.counter_family("delivery_attempts_total", "Attempts at messages", outcome),
            seconds: book.histogram_family(
                "delivery_duration_seconds",
                "Time of one attempt at a message",
                destination,
                family::short_duration_histogram,
            ),
            page: book.histogram_family(
                "page_latency_seconds",
                "From a block's own time to the acceptance of a page about it",
                destination,
                family::long_duration_histogram,
            ),
            failing: book.gauge_family(
                "destination_failed_attempts",
                "Attempts that failed since the last that did not",
                destination,
            ),
            pending: book.gauge_family("outbox_pending", "Messages that wait to be sent", destination),
            oldest: book.gauge_family("outbox_oldest_age_seconds", "Age of the oldest message that waits", destination),
            dead: book.single_gauge("dead_letters", "Messages that were given up and not sent again"),
        }
    }
}

impl Stored {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        Self {
            write_errors: book.single_counter("store_write_errors_total", "Writes that the store could not do"),
            free: book.single_gauge("store_free_bytes", "Space left on the store's file system"),
            size: book.single_gauge("store_size_bytes", "Space that the store's files take"),
        }
    }
}

impl Services {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        let service = ["chain", "service"];
        let outcome = ["chain", "service", "outcome"];
        Self {
            requests: book.counter_family(
                "safe_service_requests_total",
                "Requests to a Safe service by how they ended",
                outcome,
            ),
            quota: book.gauge_family(
                "safe_service_quota_requests",
                "Requests to a Safe service that may be sent at once",
                service,
            ),
            month: book.gauge_family(
                "safe_service_month_requests",
                "Requests to a Safe service that this month (UTC) has left",
                service,
            ),
            says: book.gauge_family(
                "safe_service_told_requests",
                "Requests that a Safe service itself says are left, of its tightest limit",
                service,
            ),
            paused: book.gauge_family(
                "safe_service_paused_until_timestamp_seconds",
                "Until when a Safe service asked not to be asked, Unix time",
                service,
            ),
            seen_at: book.gauge_family(
                "safe_service_last_success_timestamp_seconds",
                "When a Safe's queue was last seen in full, Unix time",
                service,
            ),
            queued: book.gauge_family(
                "safe_queue_transactions",
                "Transactions that wait in the queues of Safes",
                service,
            ),
        }
    }
}

impl Signs {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        let heartbeat = ["heartbeat"];
        Self {
            check: book.gauge_family("check_failing", "1 while a check fails", ["check"]),
            beat_at: book.gauge_family(
                "heartbeat_last_success_timestamp_seconds",
                "When a heartbeat last said that all is well and was heard, Unix time",
                heartbeat,
            ),
            every: book.gauge_family("heartbeat_interval_seconds", "Time between two heartbeats", heartbeat),
            beats: book.counter_family(
                "heartbeats_total",
                "Heartbeats by what became of them",
                ["heartbeat", "outcome"],
            ),
        }
    }
}

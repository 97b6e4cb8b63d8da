//! Definitions of all series: name, help text and labels. The methods of [`Metrics`](super::Metrics) update them.

use super::vector::{self, Count, LevelGauge, MetricsRegistry, Seconds, SeriesFamily};
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
            build: book.levels("build_info", "The program's version; always 1", ["version"]),
            config: book.levels("config_hash_info", "SHA-256 of the configuration in force; always 1", ["sha256"]),
            config_loaded: book
                .level("config_last_reload_successful", "Whether the configuration was read without a problem"),
            config_loaded_at: book.level(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration in force was read, Unix time",
            ),
            started_at: book.level("start_timestamp_seconds", "When the program started, Unix time"),
            watches: book.level("watches", "Watches in the configuration"),
        }
    }
}

impl Chain {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        let chain = ["chain"];
        Self {
            head: book.levels("chain_head_number", "The newest block that an endpoint named", chain),
            head_time: book.levels("chain_head_timestamp_seconds", "Block time of the newest block, Unix time", chain),
            processed: book.levels("chain_processed_number", "The newest block that was judged and committed", chain),
            processed_time: book.levels(
                "chain_processed_timestamp_seconds",
                "Block time of the newest block that was judged and committed, Unix time",
                chain,
            ),
            safe: book.levels("chain_safe_number", "The newest safe block", chain),
            finalized: book.levels("chain_finalized_number", "The newest finalized block", chain),
            slot: book.levels("chain_slot_seconds", "Seconds between two blocks, as configured or known", chain),
            skew: book.levels(
                "chain_clock_skew_seconds",
                "How far the newest block's time lies ahead of our clock",
                chain,
            ),
            phase: book.levels("chain_phase", "1 for what the chain's source is doing", ["chain", "phase"]),
            blocks: book.counts("chain_blocks_total", "Blocks judged and committed", chain),
            reorgs: book.counts("chain_reorgs_total", "Reorgs that undid committed blocks", chain),
            depth: book.histograms("chain_reorg_depth_blocks", "Blocks undone by a reorg", chain, vector::blocks),
            refused: book.counts(
                "blocks_refused_total",
                "Blocks that did not verify against their own header",
                ["chain", "endpoint", "reason"],
            ),
            unverified: book.counts("blocks_unverified_total", "Blocks judged without being verified", chain),
            blind: book.levels("blind", "1 while the chain cannot be seen for this reason", ["chain", "kind"]),
            blind_seconds: book.seconds("blind_seconds_total", "Time during which the chain could not be seen", chain),
        }
    }
}

impl Rpc {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        Self {
            requests: book.counts(
                "rpc_requests_total",
                "Requests to nodes",
                ["chain", "endpoint", "method", "outcome"],
            ),
            seconds: book.histograms(
                "rpc_request_duration_seconds",
                "Time that a node took to answer, or until it was given up",
                ["chain", "endpoint", "method"],
                vector::short,
            ),
            hedged: book.counts(
                "rpc_hedged_total",
                "Requests sent to a second endpoint because the first took long",
                ["chain"],
            ),
            disagreement: book.counts(
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
            up: book.levels("endpoint_up", "Whether the endpoint answers", endpoint),
            lag: book.levels("endpoint_lag_blocks", "Blocks that the endpoint is behind the newest head", endpoint),
            quarantined: book.levels(
                "endpoint_quarantined",
                "Whether nothing that the endpoint says is let through",
                endpoint,
            ),
            strikes: book.counts(
                "endpoint_strikes_total",
                "Times that the endpoint said what cannot be true",
                endpoint,
            ),
            ability: book.levels(
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
            length: book.levels("queue_length", "What waits in a bounded queue", queue),
            room: book.levels("queue_capacity", "What may wait in a bounded queue", queue),
            dropped: book.counts("queue_dropped_total", "What found a bounded queue full and was dropped", queue),
        }
    }
}

impl Judging {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        let chain = ["chain"];
        Self {
            verdicts: book.counts("verdicts_total", "Activities judged", ["watch", "verdict", "severity"]),
            decode_failures: book.counts(
                "decode_failures_total",
                "Activities that could not be decoded to their last byte",
                chain,
            ),
            judge: book.histograms(
                "judge_duration_seconds",
                "Time to decode and judge a block, questions to the node included",
                chain,
                vector::short,
            ),
            detection: book.histograms(
                "detection_latency_seconds",
                "From a block's own time to its committed verdicts",
                chain,
                vector::long,
            ),
            commit: book.histograms("commit_duration_seconds", "Time to commit a step", chain, vector::short),
            head_to_commit: book.histograms(
                "head_to_commit_seconds",
                "From the first word of a block to its committed verdicts, fetching included",
                chain,
                vector::brief,
            ),
            block_to_commit: book.histograms(
                "block_to_commit_seconds",
                "From a block at hand, fetched and checked, to its committed verdicts",
                chain,
                vector::brief,
            ),
        }
    }
}

impl Incidents {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        Self {
            open: book.levels("incidents_open", "Incidents that are not over", ["severity", "state"]),
            opened: book.counts("incidents_total", "Incidents opened", ["severity"]),
            escalations: book.counts("escalations_total", "Steps of paths that were told", ["path", "step"]),
        }
    }
}

impl Delivery {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        let destination = ["destination"];
        let outcome = ["destination", "outcome"];
        Self {
            ended: book.counts("deliveries_total", "Messages sent or given up", outcome),
            attempts: book.counts("delivery_attempts_total", "Attempts at messages", outcome),
            seconds: book.histograms(
                "delivery_duration_seconds",
                "Time of one attempt at a message",
                destination,
                vector::short,
            ),
            page: book.histograms(
                "page_latency_seconds",
                "From a block's own time to the acceptance of a page about it",
                destination,
                vector::long,
            ),
            failing: book.levels(
                "destination_failed_attempts",
                "Attempts that failed since the last that did not",
                destination,
            ),
            pending: book.levels("outbox_pending", "Messages that wait to be sent", destination),
            oldest: book.levels("outbox_oldest_age_seconds", "Age of the oldest message that waits", destination),
            dead: book.level("dead_letters", "Messages that were given up and not sent again"),
        }
    }
}

impl Stored {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        Self {
            write_errors: book.count("store_write_errors_total", "Writes that the store could not do"),
            free: book.level("store_free_bytes", "Space left on the store's file system"),
            size: book.level("store_size_bytes", "Space that the store's files take"),
        }
    }
}

impl Services {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        let service = ["chain", "service"];
        let outcome = ["chain", "service", "outcome"];
        Self {
            requests: book.counts(
                "safe_service_requests_total",
                "Requests to a Safe service by how they ended",
                outcome,
            ),
            quota: book.levels(
                "safe_service_quota_requests",
                "Requests to a Safe service that may be sent at once",
                service,
            ),
            month: book.levels(
                "safe_service_month_requests",
                "Requests to a Safe service that this month (UTC) has left",
                service,
            ),
            says: book.levels(
                "safe_service_told_requests",
                "Requests that a Safe service itself says are left, of its tightest limit",
                service,
            ),
            paused: book.levels(
                "safe_service_paused_until_timestamp_seconds",
                "Until when a Safe service asked not to be asked, Unix time",
                service,
            ),
            seen_at: book.levels(
                "safe_service_last_success_timestamp_seconds",
                "When a Safe's queue was last seen in full, Unix time",
                service,
            ),
            queued: book.levels("safe_queue_transactions", "Transactions that wait in the queues of Safes", service),
        }
    }
}

impl Signs {
    pub(super) fn register(book: &mut MetricsRegistry) -> Self {
        let heartbeat = ["heartbeat"];
        Self {
            check: book.levels("check_failing", "1 while a check fails", ["check"]),
            beat_at: book.levels(
                "heartbeat_last_success_timestamp_seconds",
                "When a heartbeat last said that all is well and was heard, Unix time",
                heartbeat,
            ),
            every: book.levels("heartbeat_interval_seconds", "Time between two heartbeats", heartbeat),
            beats: book.counts("heartbeats_total", "Heartbeats by what became of them", ["heartbeat", "outcome"]),
        }
    }
}

//! The broker's own metrics, by shard. `docs/metrics.md` says what each is for.

use super::family::{Families, Labels, Value, classes, figure};
use crate::base::histogram::Histogram;
use crate::monitor::surveyor::ShardCounts;
use crate::session::close::CloseReason;
use crate::session::slow_consumer::SlowConsumer;
use crate::shard::survey::{PENDING_STEPS, Sums};

/// Adds them.
pub(super) fn add(families: &mut Families, server_id: &str, shards: &[ShardCounts], sums: &Sums) {
    for shard in shards {
        add_counts(families, shard);
        add_pulse(families, shard);
        add_lanes(families, shard);
    }
    let steps = PENDING_STEPS.iter().map(|step| figure(*step as u64));
    families.add(
        "trunkline_pending_bytes",
        "Bytes waiting for each connection, all shards",
        vec![("server_id", server_id.to_owned())],
        Value::Histogram {
            sum: figure(sums.pending_bytes),
            classes: classes(steps, &sums.pending),
        },
    );
}

/// Adds a consumer that was too slow.
pub(super) fn add_slow_consumer(families: &mut Families, account: &str, slow: &SlowConsumer) {
    let report = slow.report();
    let reason = match slow.reason {
        CloseReason::SlowConsumerWriteDeadline => WRITE_DEADLINE,
        _ => PENDING_BYTES,
    };
    families.add(
        "trunkline_slow_consumer_pending_bytes",
        "Bytes that waited for consumers that did not keep up, the last ones only",
        vec![
            ("cid", slow.number.0.to_string()),
            ("account", account.to_owned()),
            ("subject", report.subject),
            ("subscription", report.subscription),
            ("sid", report.sid),
            ("reason", reason.to_owned()),
        ],
        Value::Gauge(figure(slow.pending_bytes as u64)),
    );
}

/// The two reasons why a consumer is closed as slow.
const PENDING_BYTES: &str = "pending_bytes";
const WRITE_DEADLINE: &str = "write_deadline";

fn add_counts(families: &mut Families, shard: &ShardCounts) {
    let snapshot = &shard.counts.snapshot;
    let (routed, tally, usage) = (&snapshot.routed, &snapshot.tally, &snapshot.usage);
    for (name, help, value) in [
        (
            "connections",
            "Connections now",
            snapshot.connections as u64,
        ),
        (
            "subscriptions",
            "Subscriptions of the shard's connections now",
            snapshot.subscriptions as u64,
        ),
        (
            "patterns",
            "Patterns that anybody wants now, as the shard knows them",
            snapshot.patterns as u64,
        ),
        (
            "cached_subjects",
            "Subjects whose answer is remembered now",
            snapshot.cached_subjects as u64,
        ),
    ] {
        families.add(&full(name), help, of(shard), Value::Gauge(figure(value)));
    }
    for (name, help, value) in [
        (
            "connections_accepted",
            "Connections taken in",
            tally.connected,
        ),
        (
            "messages_in",
            "Messages published by the shard's connections",
            routed.published.messages,
        ),
        (
            "bytes_in",
            "Bytes of these messages",
            routed.published.bytes,
        ),
        (
            "messages_out",
            "Messages delivered to the shard's connections",
            routed.delivered.messages,
        ),
        (
            "bytes_out",
            "Bytes of these messages",
            routed.delivered.bytes,
        ),
        (
            "parcels_in",
            "Parcels taken in from other shards",
            tally.parcels,
        ),
        (
            "runs_from_lanes",
            "Runs of messages in these parcels",
            tally.runs_from_lanes,
        ),
        (
            "messages_handed_on",
            "Messages sent on because the picked queue group had no member left",
            routed.handed_on,
        ),
        (
            "publishers_paused",
            "Pauses of publishers that outran a consumer",
            tally.pauses,
        ),
        (
            "stale_connections",
            "Connections closed because they did not answer",
            tally.stale,
        ),
        (
            "cache_misses",
            "Look-ups of subjects whose answer had to be made",
            usage.misses,
        ),
    ] {
        families.add(&full(name), help, of(shard), Value::Count(value));
    }
    for (reason, value) in [
        (PENDING_BYTES, tally.slow_consumers_pending),
        (WRITE_DEADLINE, tally.slow_consumers_deadline),
    ] {
        let help = "Connections closed because they did not keep up";
        families.add(
            &full("slow_consumers"),
            help,
            with(shard, "reason", reason),
            Value::Count(value),
        );
    }
    for (reason, value) in [
        ("no_interest", routed.dropped_no_interest),
        ("interest_gone", routed.dropped_interest_gone),
        ("group_gone", routed.dropped_group_gone),
    ] {
        let help = "Messages that went to nobody";
        families.add(
            &full("messages_dropped"),
            help,
            with(shard, "reason", reason),
            Value::Count(value),
        );
    }
}

fn add_pulse(families: &mut Families, shard: &ShardCounts) {
    let pulse = &shard.pulse;
    for (name, help, value) in [
        ("turns", "Turns of the shard", pulse.turns),
        (
            "spins",
            "Times it looked around before going to sleep",
            pulse.spins,
        ),
        (
            "spins_paid",
            "Times that spared the sleep",
            pulse.spins_paid,
        ),
        ("parks", "Times it went to sleep", pulse.parks),
        (
            "lingers",
            "Times it slept on for messages to gather",
            pulse.lingers,
        ),
        ("reads", "Pieces of bytes received", pulse.reads),
        ("sends", "Batches of bytes given to the kernel", pulse.sends),
    ] {
        families.add(&full(name), help, of(shard), Value::Count(value));
    }
    families.add(
        &full("busy_seconds"),
        "Time spent in turns that had something to do",
        of(shard),
        Value::Seconds(pulse.turn_times.sum().as_secs_f64()),
    );
    families.add(
        &full("turn_seconds"),
        "How long turns took that had something to do",
        of(shard),
        times(&pulse.turn_times),
    );
}

fn add_lanes(families: &mut Families, shard: &ShardCounts) {
    families.add(
        &full("lane_seconds"),
        "How long parcels were on their way to the shard: from the beginning of the turn that packed them to that of the turn that took them in",
        of(shard),
        times(&shard.counts.lane_times),
    );
    for lane in &shard.counts.lanes {
        let here = shard.shard.to_string();
        let there = lane.peer.to_string();
        families.add(
            "trunkline_lane_parcels",
            "Parcels on a lane that have not been taken in",
            vec![("from", there.clone()), ("to", here.clone())],
            Value::Gauge(figure(lane.arrived as u64)),
        );
        families.add(
            "trunkline_lane_parcels_waiting",
            "Parcels that found their lane full",
            vec![("from", here), ("to", there)],
            Value::Gauge(figure(lane.waiting as u64)),
        );
    }
}

fn times(histogram: &Histogram) -> Value {
    let steps = Histogram::steps().map(|step| step.as_secs_f64());
    Value::Histogram {
        sum: histogram.sum().as_secs_f64(),
        classes: classes(steps, histogram.counts()),
    }
}

fn full(name: &str) -> String {
    format!("trunkline_shard_{name}")
}

fn of(shard: &ShardCounts) -> Labels {
    vec![("shard", shard.shard.to_string())]
}

fn with(shard: &ShardCounts, label: &'static str, value: &str) -> Labels {
    let mut labels = of(shard);
    labels.push((label, value.to_owned()));
    labels
}

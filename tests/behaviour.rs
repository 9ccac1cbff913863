//! What Trunkline promises, shown on the real binary: one file of `tests/behaviour` for each requirement, run with one,
//! two and four shards.
//!
//! Nothing here asserts a speed. Where a test waits, it waits generously: a busy machine must not fail it, a broker that
//! hangs must.

// The rules on clocks, sockets and threads are for the broker, not for those who talk to it from outside.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod support;

/// Makes tests with one, two and four shards of functions that take the number of shards.
macro_rules! on_1_2_and_4_shards {
    ($($behaviour:ident),+ $(,)?) => {$(
        mod $behaviour {
            #[test]
            fn on_1_shard() {
                super::$behaviour(1);
            }
            #[test]
            fn on_2_shards() {
                super::$behaviour(2);
            }
            #[test]
            fn on_4_shards() {
                super::$behaviour(4);
            }
        }
    )+};
}

/// The same for functions that take what is to be started; what they show is shown of `nats-server`, too.
macro_rules! on_both_servers {
    ($($behaviour:ident),+ $(,)?) => {$(
        mod $behaviour {
            use crate::support::Launch;
            #[test]
            fn on_1_shard() {
                super::$behaviour(Launch::trunkline(1));
            }
            #[test]
            fn on_2_shards() {
                super::$behaviour(Launch::trunkline(2));
            }
            #[test]
            fn on_4_shards() {
                super::$behaviour(Launch::trunkline(4));
            }
            #[test]
            fn on_nats_server() {
                super::$behaviour(Launch::nats_server().expect("nats-server is there"));
            }
        }
    )+};
}

#[path = "behaviour/cast.rs"]
mod cast;

#[path = "behaviour/accounts_stay_apart.rs"]
mod accounts_stay_apart;
#[path = "behaviour/bystanders_are_unaffected.rs"]
mod bystanders_are_unaffected;
#[path = "behaviour/connect_storm_leaves_nothing_behind.rs"]
mod connect_storm_leaves_nothing_behind;
#[path = "behaviour/connections_are_spread.rs"]
mod connections_are_spread;
#[path = "behaviour/flooding_publisher_is_slowed_not_buffered.rs"]
mod flooding_publisher_is_slowed_not_buffered;
#[path = "behaviour/idle_connections_cost_little.rs"]
mod idle_connections_cost_little;
#[path = "behaviour/lame_duck.rs"]
mod lame_duck;
#[path = "behaviour/large_payloads_arrive_whole.rs"]
mod large_payloads_arrive_whole;
#[path = "behaviour/log_goes_to_syslog.rs"]
mod log_goes_to_syslog;
#[path = "behaviour/log_is_reopened.rs"]
mod log_is_reopened;
#[path = "behaviour/log_is_rotated.rs"]
mod log_is_rotated;
#[path = "behaviour/log_lines_as_json.rs"]
mod log_lines_as_json;
#[path = "behaviour/log_lines_for_the_journal.rs"]
mod log_lines_for_the_journal;
#[path = "behaviour/log_on_a_full_disk.rs"]
mod log_on_a_full_disk;
#[path = "behaviour/many_subscriptions_come_and_go.rs"]
mod many_subscriptions_come_and_go;
#[path = "behaviour/max_connections_is_global.rs"]
mod max_connections_is_global;
#[path = "behaviour/nkey_users_prove_themselves.rs"]
mod nkey_users_prove_themselves;
#[path = "behaviour/order.rs"]
mod order;
#[path = "behaviour/ordinary_user.rs"]
mod ordinary_user;
#[path = "behaviour/out_of_file_descriptors.rs"]
mod out_of_file_descriptors;
#[path = "behaviour/passwords_are_compared_aside.rs"]
mod passwords_are_compared_aside;
#[path = "behaviour/proxy_protocol.rs"]
mod proxy_protocol;
#[path = "behaviour/queue_group_one_copy.rs"]
mod queue_group_one_copy;
#[path = "behaviour/reload_certificates.rs"]
mod reload_certificates;
#[path = "behaviour/reload_changes_people.rs"]
mod reload_changes_people;
#[path = "behaviour/reload_closes_who_is_gone.rs"]
mod reload_closes_who_is_gone;
#[path = "behaviour/reload_in_lame_duck.rs"]
mod reload_in_lame_duck;
#[path = "behaviour/reload_is_refused.rs"]
mod reload_is_refused;
#[path = "behaviour/reload_loses_nothing.rs"]
mod reload_loses_nothing;
#[path = "behaviour/reload_takes_effect.rs"]
mod reload_takes_effect;
#[path = "behaviour/repeated_errors_are_counted.rs"]
mod repeated_errors_are_counted;
#[path = "behaviour/runs_of_messages.rs"]
mod runs_of_messages;
#[path = "behaviour/service_manager_is_told.rs"]
mod service_manager_is_told;
#[path = "behaviour/silent_clients_are_closed.rs"]
mod silent_clients_are_closed;
#[path = "behaviour/slow_consumer_is_explained.rs"]
mod slow_consumer_is_explained;
#[path = "behaviour/slow_consumer_pending.rs"]
mod slow_consumer_pending;
#[path = "behaviour/slow_consumer_write_deadline.rs"]
mod slow_consumer_write_deadline;
#[path = "behaviour/spins_find_something.rs"]
mod spins_find_something;
#[path = "behaviour/stale_connections.rs"]
mod stale_connections;
#[path = "behaviour/start_refusals.rs"]
mod start_refusals;
#[path = "behaviour/stop_signals.rs"]
mod stop_signals;
#[path = "behaviour/stress.rs"]
mod stress;
#[path = "behaviour/subjects_of_extreme_shape.rs"]
mod subjects_of_extreme_shape;
#[path = "behaviour/subscribe_then_flush.rs"]
mod subscribe_then_flush;
#[path = "behaviour/tls_carries_everything.rs"]
mod tls_carries_everything;
#[path = "behaviour/tls_client_certificates.rs"]
mod tls_client_certificates;
#[path = "behaviour/tls_handshakes.rs"]
mod tls_handshakes;
#[path = "behaviour/tls_slow_consumer.rs"]
mod tls_slow_consumer;
#[path = "behaviour/trace_shows_both_directions.rs"]
mod trace_shows_both_directions;
#[path = "behaviour/unix_socket.rs"]
mod unix_socket;
#[path = "behaviour/users_keep_to_their_permissions.rs"]
mod users_keep_to_their_permissions;

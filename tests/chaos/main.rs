//! Fault stories: the real program, struck under load, with what is promised of it measured. One fault a file, by the numbers
//! of the table of promises (docs/reference/guarantees.md). They need the machine for themselves, so they run one at a time:
//! `cargo test --profile ci -p tasklane-stories --test chaos -- --test-threads=1`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod t01_server_killed;
mod t02_power_cut;
mod t03_sync_failed;
mod t04_disk_full;
mod t05_slow_disk;
mod t06_damaged_file;
mod t07_backup;
mod t08_pinned_reader;
mod t09_worker_killed;
mod t10_worker_frozen;
mod t11_races;
mod t12_long_tasks;
mod t13_partition;
mod t14_pills;
mod t15_rolling;
mod t17_database_restarted;
mod t18_database_promoted;
mod t20_schedulers;
mod t21_clocks;
mod t23_herd;
mod t24_many_connections;
mod t26_deep_queue;
mod t27_tenants;

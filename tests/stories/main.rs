//! Stories: the real program on a real disk, struck by what happens to programs. One story a file.

#![allow(clippy::unwrap_used, reason = "tests")]

mod atropos;
mod bad_input;
mod bad_tasks;
mod batches;
mod bulk;
mod by_hand;
mod by_http;
mod cancel;
mod clock_back;
mod command_line;
mod command_line_reads;
mod command_line_streams;
mod config;
mod disk_full;
mod follow;
mod gates;
mod http_target;
mod keys;
mod many_servers;
mod metrics;
mod one_road;
mod pages;
mod promoted;
mod queues;
mod quickstart;
mod reports;
mod server_killed;
mod service;
mod slow_clients;
mod start_refused;
mod stop;
mod times;
mod worker_struck;
mod workers_elsewhere;

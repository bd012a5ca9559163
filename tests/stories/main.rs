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
mod command_line;
mod command_line_reads;
mod command_line_streams;
mod config;
mod follow;
mod gates;
mod http_target;
mod keys;
mod many_servers;
mod metrics;
mod one_road;
mod outage;
mod pages;
mod promoted;
mod queues;
mod quickstart;
mod reports;
mod service;
mod slow_clients;
mod start_refused;
mod stop;
mod times;
mod tls;
mod webhooks;
mod webhooks_guarded;
mod who_may;
mod worker_drained;
mod workers_elsewhere;

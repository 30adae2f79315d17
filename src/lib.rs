#![doc = include_str!("README.md")]

// ground
pub mod access;
pub mod clock;
pub mod metrics;
pub mod tasks;
// rules
pub mod config;
pub mod lists;
pub mod matcher;
pub mod policy;
// wire
pub mod accesslog;
pub mod detect;
pub mod dns;
pub mod framing;
pub mod identity;
pub mod listen;
pub mod origin;
pub mod relay;
pub mod scan;
pub mod store;
pub mod tls;
// gateway
pub mod gateway;
// operations
pub mod audit;
pub mod fleet;
// program
pub mod cli;
pub mod process;

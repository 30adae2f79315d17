//! TOML as written, checked whole, handed on as known good.

//! Who a client is, and how we know.

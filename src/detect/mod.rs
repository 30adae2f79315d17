//! What a connection speaks, from its first bytes.

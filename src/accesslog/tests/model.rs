//! The journal against a model of a hundred lines.

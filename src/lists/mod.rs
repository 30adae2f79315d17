//! List files: parsed, compiled, mapped.

//! The load generator. Filled by its own issue.

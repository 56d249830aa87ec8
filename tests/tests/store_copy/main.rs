//! A deployment with the embedded database moves to PostgreSQL.

#[cfg(test)]
mod one_service;

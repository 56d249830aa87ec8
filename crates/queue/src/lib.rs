//! The [`Queue`](opencpm_operations::port::Queue) port: tells gateways which jobs are ready.
//!
//! | implementation | for |
//! | --- | --- |
//! | [`EmbeddedQueue`] | API and gateways in one process |
//! | [`RabbitMqQueue`] | API and gateways in several processes, and a RabbitMQ broker |
//!
//! Siblings have the same file names, and one contract test suite (`tests/contract/`).

#![forbid(unsafe_code)]

mod embedded;
mod rabbitmq;

pub use embedded::EmbeddedQueue;
#[cfg(any(test, fuzzing))]
pub use rabbitmq::fuzzing;
pub use rabbitmq::{RabbitMqOptions, RabbitMqOptionsError, RabbitMqQueue};

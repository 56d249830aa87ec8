//! Roles in several processes, over real PostgreSQL and RabbitMQ.

#[cfg(test)]
mod one_service;
#[cfg(test)]
mod rolling;

//! Roles in several processes, over real PostgreSQL and RabbitMQ.

#[cfg(test)]
mod a_writer;
#[cfg(test)]
mod no_trace;
#[cfg(test)]
mod one_service;
#[cfg(test)]
mod rolling;

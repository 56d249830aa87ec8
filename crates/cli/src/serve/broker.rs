//! The queue that the configuration asks for.

use std::sync::Arc;

use opencpm_domain::DeploymentId;
use opencpm_operations::port::Queue;
use opencpm_queue::{EmbeddedQueue, RabbitMqOptions, RabbitMqQueue};

use super::ServeError;
use crate::config::{Config, Remote, secret_line};

/// A queue in use.
#[derive(Clone)]
pub(super) enum Broker {
    /// Within this process.
    Embedded(Arc<EmbeddedQueue>),
    /// Shared with other nodes.
    RabbitMq(Arc<RabbitMqQueue>),
}

impl Broker {
    /// Connects in the background: a broker that is away keeps no node from starting.
    pub(super) async fn open(
        config: &Config,
        deployment: DeploymentId,
    ) -> Result<Self, ServeError> {
        match &config.queue.url {
            Some(url) => {
                let queue = RabbitMqQueue::connect(options(&config.queue, url)?, deployment).await;
                Ok(Self::RabbitMq(Arc::new(queue)))
            }
            None => Ok(Self::Embedded(Arc::new(EmbeddedQueue::new()))),
        }
    }

    /// As the operations see it.
    pub(super) fn port(&self) -> Arc<dyn Queue> {
        match self {
            Self::Embedded(queue) => queue.clone(),
            Self::RabbitMq(queue) => queue.clone(),
        }
    }

    /// Says goodbye.
    pub(super) async fn close(&self) {
        match self {
            Self::Embedded(_) => {}
            Self::RabbitMq(queue) => queue.close().await,
        }
    }
}

/// Fails where the files cannot be used that the configuration names for the broker.
pub(super) fn check(config: &Config) -> Result<(), ServeError> {
    let url = config.queue.url.as_ref();
    url.map_or(Ok(()), |url| options(&config.queue, url).map(drop))
}

fn options(remote: &Remote, url: &str) -> Result<RabbitMqOptions, ServeError> {
    let read = |file: &std::path::PathBuf| {
        std::fs::read(file).map_err(|error| ServeError::Secret(file.clone(), error))
    };
    let password = match &remote.password_file {
        Some(file) => secret_line(file).map_err(|e| ServeError::Secret(file.clone(), e))?,
        None => secrecy::SecretString::default(),
    };
    let authorities = remote.ca.as_ref().map(read).transpose()?;
    RabbitMqOptions::new(url, password, authorities.as_deref()).map_err(ServeError::QueueUrl)
}

//! The database and the broker of a deployment of several nodes.

use std::path::{Path, PathBuf};

use opencpm_servers::{Postgres, PostgresOptions, RabbitMq};

use super::disk::Disk;

/// Real ones, each on a port of its own.
pub struct Servers {
    /// The database.
    pub postgres: Postgres,
    /// The broker.
    pub rabbit: RabbitMq,
    /// Where their passwords are for the nodes.
    secrets: PathBuf,
}

/// The name of the deployment's database.
pub const DATABASE: &str = "opencpm";

impl Servers {
    /// Starts both; the database's files are on this disk, where there is one, and it is told this
    /// besides what every test's is told.
    pub(crate) fn start(secrets: &Path, disk: Option<&Disk>, more: &[(&str, &str)]) -> Self {
        // Nobody cuts the power. A small log lets a small disk be enough.
        let settings = [("fsync", "off"), ("max_wal_size", "64MB"), ("min_wal_size", "32MB")];
        let settings = settings.iter().chain(more);
        let settings =
            settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let data = disk.map(|disk| disk.path().join("postgres"));
        data.iter().for_each(|data| std::fs::create_dir(data).expect("our own folder"));
        let (postgres, rabbit) = std::thread::scope(|scope| {
            let rabbit = scope.spawn(RabbitMq::start);
            let postgres = Postgres::start_with(PostgresOptions { data, settings });
            (postgres, rabbit.join().expect("a broker"))
        });
        postgres.create_database(DATABASE, None);
        let servers = Self { postgres, rabbit, secrets: secrets.to_owned() };
        let secret = |path: &Path, text: &str| std::fs::write(path, text).expect("a file");
        secret(&servers.store_password(), servers.postgres.password());
        secret(&servers.queue_password(), servers.rabbit.password());
        servers
    }

    /// What the configuration of a node says that reaches them at these addresses.
    pub(super) fn settings(&self, store: &str, queue: &str) -> String {
        format!(
            "[store]\nurl = \"postgresql://{}@{store}/{DATABASE}\"\npassword_file = {:?}\n\
             [queue]\nurl = \"amqp://{}@{queue}/%2f\"\npassword_file = {:?}\n",
            self.postgres.user(),
            self.store_password(),
            self.rabbit.user(),
            self.queue_password(),
        )
    }

    fn store_password(&self) -> PathBuf {
        self.secrets.join("store-password")
    }

    fn queue_password(&self) -> PathBuf {
        self.secrets.join("queue-password")
    }
}

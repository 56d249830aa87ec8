//! Simulated machines beside the real ones: devices of the main account whose other end is this
//! process.

use opencpm_domain::hex_to_bytes;
use opencpm_fleet::{Fault, Fleet, Plan, Seed};
use opencpm_operations::port::Random;
use opencpm_protocol::token::EnrolmentToken;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::LabError;
use super::deployment::Deployment;
use crate::system::clock_and_random;

/// What makes the same simulated machines again, as the lab remembers it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Simulated {
    /// How many.
    pub(super) devices: u32,
    /// Of their keys, hexadecimal.
    seed: String,
    /// With which they enrolled.
    token: String,
}

impl Simulated {
    /// So many new ones, with the token that enrols them.
    pub(super) fn new(devices: u32, token: &SecretString, random: &dyn Random) -> Self {
        let seed = opencpm_domain::to_hex(&random.bytes::<32>());
        Self { devices, seed, token: token.expose_secret().to_owned() }
    }

    /// Brings them to life: enrols those that are not, and connects all. The first have these
    /// faults, one each.
    pub(super) async fn start(
        &self,
        deployment: &Deployment,
        faults: &[Fault],
    ) -> Result<Fleet, LabError> {
        let seed = hex_to_bytes(&self.seed).and_then(|seed| seed.try_into().ok());
        let seed = Seed::from_bytes(seed.ok_or(LabError::Seed)?);
        let token = EnrolmentToken::parse(&self.token)?;
        let plan = Plan { devices: self.devices, seed, faults: faults.to_vec() };
        let (clock, _) = clock_and_random();
        let connector = deployment.connector();
        let dial = move |wire| {
            let connector = connector.clone();
            async move {
                if let Some(connector) = connector {
                    connector.serve_stream(wire).await;
                }
            }
        };
        Ok(Fleet::start(plan, &token, move || clock.now(), dial).await?)
    }
}

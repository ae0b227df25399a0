//! Devices and networks of a user, for the application.

use protocol::api::{Device, DeviceList, Network};
use protocol::cluster::job::JobOutcome;
use store::{SeenOverview, StoreError};

use super::SecurityService;
use crate::call::Call;

impl SecurityService {
    /// Lists the devices and networks of the user, those seen last first.
    pub(crate) async fn devices(&self, call: &Call) -> Result<JobOutcome, StoreError> {
        let seen = self.devices.devices(&call.user).await?;
        let (devices, networks): (Vec<_>, Vec<_>) = seen.into_iter().partition(|seen| seen.kind == DEVICE);
        let device = |seen: SeenOverview| Device {
            device: seen.name,
            last_seen_at: seen.seen_at,
        };
        let network = |seen: SeenOverview| Network {
            network: seen.name,
            last_seen_at: seen.seen_at,
        };
        Ok(JobOutcome::success(&DeviceList {
            devices: devices.into_iter().map(device).collect(),
            networks: networks.into_iter().map(network).collect(),
        }))
    }
}

/// Kind of a device.
const DEVICE: &str = "device";

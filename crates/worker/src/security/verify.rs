//! `security:verify_2fa`: the factor checks the code; a wrong code also counts in its session and drops the hint of known devices.

use protocol::cluster::job::JobOutcome;
use protocol::code::ErrorCode;
use protocol::command::VerifyTwoFactor;

use super::SecurityService;
use crate::call::Call;
use crate::factor::VerifyError;

impl SecurityService {
    pub(crate) async fn verify_two_factor(
        &self,
        call: &Call,
        payload: &VerifyTwoFactor,
    ) -> Result<JobOutcome, VerifyError> {
        let outcome = self.factor.verify(call, payload).await?;
        if outcome.error == Some(ErrorCode::TwoFactorInvalid) {
            self.clear_seen(call).await;
            self.session.count_wrong_code(call, &outcome).await;
        }
        Ok(outcome)
    }
}

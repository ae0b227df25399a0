//! Authorization codes and their tokens: RFC 6749 section 4.1 and RFC 7636, the same for every platform.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::{Duration, UtcDateTime};

use crate::{account::Account, platform::Platform};

/// Client id of the one application that every simulated platform knows.
pub const CLIENT_ID: &str = "simulated-client";
/// Secret of that application; it is valid in this simulator only.
pub const CLIENT_SECRET: &str = "simulated-client-secret-that-opens-nothing";

/// Consent of a user on the authorize page.
#[derive(Debug, Clone)]
pub(crate) struct Consent {
    /// Platform of the consent.
    pub(crate) platform: Platform,
    /// Login of the user.
    pub(crate) login: String,
    /// Granted scopes.
    pub(crate) scopes: BTreeSet<String>,
    /// Redirect URI that the code was sent to.
    pub(crate) redirect_uri: String,
    /// S256 challenge of RFC 7636, if the client sent one.
    pub(crate) challenge: Option<String>,
}

/// Token terms of a platform.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Platform.
    pub(crate) platform: Platform,
    /// Prefix of access tokens.
    pub(crate) token_prefix: &'static str,
    /// Prefix of refresh tokens.
    pub(crate) refresh_prefix: &'static str,
    /// Lifetime of codes.
    pub(crate) code_lifetime: Duration,
    /// Lifetime of access tokens; none: until they are revoked.
    pub(crate) access_lifetime: Option<Duration>,
    /// Grants that come with a refresh token.
    pub(crate) renewal: Renewal,
    /// Scopes of a test code, which stands for an authorization with everything granted.
    pub(crate) test_scopes: &'static [&'static str],
}

/// Grants of a platform that come with a refresh token.
#[derive(Debug)]
pub(crate) enum Renewal {
    /// No grant.
    Never,
    /// Every grant.
    Always,
    /// Grants with this scope.
    With(&'static str),
}

impl Terms {
    fn renews(&self, scopes: &BTreeSet<String>) -> bool {
        match self.renewal {
            Renewal::Never => false,
            Renewal::Always => true,
            Renewal::With(scope) => scopes.contains(scope),
        }
    }
}

/// Request of an authenticated client to the token endpoint.
#[derive(Debug)]
pub(crate) struct Presented<'a> {
    /// Terms of the platform.
    pub(crate) terms: &'static Terms,
    /// Authorization code.
    pub(crate) code: &'a str,
    /// Redirect URI, as the client reports it.
    pub(crate) redirect_uri: Option<&'a str>,
    /// Verifier of RFC 7636.
    pub(crate) verifier: Option<&'a str>,
}

/// Cause of a refused code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Unknown, used or expired code, or a missing or wrong verifier.
    Code,
    /// Redirect URI that is not the one of the code.
    RedirectUri,
}

/// Valid access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Platform that accepts it.
    pub platform: Platform,
    /// Login of its account.
    pub login: String,
    /// Scopes.
    pub scopes: BTreeSet<String>,
    /// Access token.
    pub access_token: String,
    /// Refresh token; none if it was used, or the platform issues none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Expiry of the access token.
    #[serde(skip)]
    expires_at: Option<UtcDateTime>,
    /// Authorization that it descends from, through any number of refreshes.
    #[serde(skip)]
    family: u64,
    /// Code that it was issued for: a second use of the code revokes it.
    #[serde(skip)]
    code: String,
}

/// Grant of an account that is still valid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LiveGrant {
    /// Platform.
    pub platform: Platform,
    /// Login of the account.
    pub login: String,
}

/// Codes and tokens of all platforms.
#[derive(Debug)]
pub(crate) struct Grants {
    minter: Minter,
    codes: BTreeMap<String, Code>,
    tokens: Vec<Token>,
    families: u64,
    /// Used refresh tokens with their families.
    spent: HashMap<(Platform, String), u64>,
    /// Access token lifetimes that override the platform's terms.
    lifetimes: HashMap<Platform, Duration>,
    test_codes: TestCodes,
}

/// Outcome of using a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// New tokens were issued, and it is spent.
    Rotated,
    /// Reuse of a spent token: every token of its family has ended, also those that the first use issued.
    Reused,
    /// Unknown token.
    Unknown,
}

#[derive(Debug)]
struct Code {
    consent: Consent,
    expires_at: UtcDateTime,
    used: bool,
}

/// Number of uses of a test code.
#[derive(Debug)]
enum TestCodes {
    Reusable,
    /// Single use: codes used so far, with their platform.
    SingleUse(HashSet<(Platform, String)>),
}

impl Grants {
    /// Empty state; codes and tokens follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            minter: Minter { seed, minted: 0 },
            codes: BTreeMap::new(),
            tokens: Vec::new(),
            families: 0,
            spent: HashMap::new(),
            lifetimes: HashMap::new(),
            test_codes: TestCodes::Reusable,
        }
    }

    /// Sets whether test codes can be used once, like real ones, or always. Earlier uses are forgotten.
    pub(crate) fn single_use_test_codes(&mut self, single_use: bool) {
        self.test_codes = if single_use {
            TestCodes::SingleUse(HashSet::new())
        } else {
            TestCodes::Reusable
        };
    }

    /// Reports whether test codes can be used once.
    pub(crate) fn test_codes_are_single_use(&self) -> bool {
        matches!(self.test_codes, TestCodes::SingleUse(_))
    }

    /// Lifetime of new access tokens of this platform, where it differs from the documented one.
    pub(crate) fn changed_lifetime(&self, platform: Platform) -> Option<Duration> {
        self.lifetimes.get(&platform).copied()
    }

    /// Sets the lifetime of new access tokens of this platform.
    pub(crate) fn set_lifetime(&mut self, platform: Platform, lifetime: Duration) {
        self.lifetimes.insert(platform, lifetime);
    }

    /// Expires the access tokens of one account and returns their number. Refresh tokens stay valid.
    pub(crate) fn expire(&mut self, platform: Platform, login: &str, now: UtcDateTime) -> usize {
        let live = self
            .tokens
            .iter_mut()
            .filter(|token| (token.platform, token.login.as_str()) == (platform, login) && token.is_good(now));
        live.map(|token| token.expires_at = Some(now)).count()
    }

    /// Issues a code for this consent.
    pub(crate) fn issue_code(&mut self, consent: Consent, terms: &Terms, now: UtcDateTime) -> String {
        self.codes.retain(|_, code| code.expires_at > now);
        let text = self.minter.mint(20);
        self.codes.insert(
            text.clone(),
            Code {
                consent,
                expires_at: now + terms.code_lifetime,
                used: false,
            },
        );
        text
    }

    /// Exchanges a code for a token. Any attempt uses the code up; a second one also revokes the tokens of the first (RFC 6749
    /// section 4.1.2).
    pub(crate) fn redeem(&mut self, presented: &Presented<'_>, now: UtcDateTime) -> Result<Token, Refusal> {
        let consent = match self.test_consent(presented) {
            Some(consent) => consent?,
            None => self.issued_consent(presented, now)?,
        };
        self.families += 1;
        let root = Root {
            login: consent.login,
            scopes: consent.scopes,
            family: self.families,
            code: presented.code.to_owned(),
        };
        Ok(self.issue(presented.terms, root, now))
    }

    /// Exchanges a refresh token, which is spent by it, and returns its owner if it is known. A spent one ends its whole family
    /// (RFC 9700 section 4.14.2): the platform cannot distinguish owner and thief.
    pub(crate) fn refresh(&mut self, terms: &Terms, refresh_token: &str, now: UtcDateTime) -> Renewed {
        let key = (terms.platform, refresh_token.to_owned());
        let current = self
            .tokens
            .iter_mut()
            .find(|token| token.platform == terms.platform && token.refresh_token.as_deref() == Some(refresh_token));
        let Some(current) = current else {
            let family = self.spent.get(&key).copied();
            let dead = |token: &Token| Some(token.family) == family;
            let login = self
                .tokens
                .iter()
                .find(|token| dead(token))
                .map(|token| token.login.clone());
            self.tokens.retain(|token| !dead(token));
            let rotation = family.map_or(Rotation::Unknown, |_| Rotation::Reused);
            return Renewed {
                rotation,
                login,
                token: None,
            };
        };
        current.refresh_token = None;
        let root = Root {
            login: current.login.clone(),
            scopes: current.scopes.clone(),
            family: current.family,
            code: current.code.clone(),
        };
        self.spent.insert(key, root.family);
        // The old access token stays valid until it expires, as no documentation ends it sooner.
        let family = root.family;
        self.tokens.retain(|token| token.family != family || token.is_good(now));
        let token = self.issue(terms, root, now);
        Renewed {
            rotation: Rotation::Rotated,
            login: Some(token.login.clone()),
            token: Some(token),
        }
    }

    fn issue(&mut self, terms: &Terms, root: Root, now: UtcDateTime) -> Token {
        let renews = terms.renews(&root.scopes);
        let refresh_token = renews.then(|| format!("{}{}", terms.refresh_prefix, self.minter.mint(40)));
        let lifetime = self.lifetimes.get(&terms.platform).copied().or(terms.access_lifetime);
        let token = Token {
            platform: terms.platform,
            login: root.login,
            scopes: root.scopes,
            access_token: format!("{}{}", terms.token_prefix, self.minter.mint(36)),
            refresh_token,
            expires_at: lifetime.map(|lifetime| now + lifetime),
            family: root.family,
            code: root.code,
        };
        self.tokens.push(token.clone());
        token
    }

    /// Token with this access token, while it is valid.
    pub(crate) fn token(&self, platform: Platform, access_token: &str, now: UtcDateTime) -> Option<&Token> {
        let mut tokens = self.tokens.iter();
        tokens.find(|token| token.platform == platform && token.access_token == access_token && token.is_good(now))
    }

    /// Token with this access or refresh token, expired or not.
    pub(crate) fn either(&self, platform: Platform, text: &str) -> Option<&Token> {
        let mut tokens = self.tokens.iter();
        tokens.find(|token| {
            token.platform == platform && (token.access_token == text || token.refresh_token.as_deref() == Some(text))
        })
    }

    /// Ends one refresh token; its access token stays valid.
    pub(crate) fn revoke_refresh_token(&mut self, platform: Platform, refresh_token: &str) {
        let alike =
            |token: &&mut Token| token.platform == platform && token.refresh_token.as_deref() == Some(refresh_token);
        if let Some(token) = self.tokens.iter_mut().find(alike) {
            token.refresh_token = None;
        }
    }

    /// Ends one access token; its refresh token stays valid.
    pub(crate) fn revoke_access_token(&mut self, platform: Platform, access_token: &str, now: UtcDateTime) {
        for token in &mut self.tokens {
            if token.platform == platform && token.access_token == access_token {
                token.expires_at = Some(now);
            }
        }
        self.tokens.retain(|token| token.is_alive(now));
    }

    /// Accounts with a valid access token or refresh token.
    pub(crate) fn live(&self, now: UtcDateTime) -> BTreeSet<LiveGrant> {
        let alive = self.tokens.iter().filter(|token| token.is_alive(now));
        let of = |token: &Token| LiveGrant {
            platform: token.platform,
            login: token.login.clone(),
        };
        alive.map(of).collect()
    }

    /// Valid tokens, oldest first.
    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Ends one token.
    pub(crate) fn revoke_token(&mut self, platform: Platform, access_token: &str) {
        self.tokens
            .retain(|token| token.platform != platform || token.access_token != access_token);
    }

    /// Ends every token of one account and returns their number.
    pub(crate) fn revoke_account(&mut self, platform: Platform, login: &str) -> usize {
        let before = self.tokens.len();
        self.tokens
            .retain(|token| token.platform != platform || token.login != login);
        before - self.tokens.len()
    }

    /// Ends the oldest tokens of the same account and scopes until `keep` are left.
    pub(crate) fn keep_newest(&mut self, like: &Token, keep: usize) {
        let alike =
            |token: &Token| (token.platform, &token.login, &token.scopes) == (like.platform, &like.login, &like.scopes);
        let mut surplus = self
            .tokens
            .iter()
            .filter(|token| alike(token))
            .count()
            .saturating_sub(keep);
        self.tokens.retain(|token| {
            let ends = surplus > 0 && alike(token);
            surplus -= usize::from(ends);
            !ends
        });
    }

    /// Consent of a test code; `None` for any other code.
    fn test_consent(&mut self, presented: &Presented<'_>) -> Option<Result<Consent, Refusal>> {
        let login = Account::of_test_code(presented.code)?;
        let fresh = match &mut self.test_codes {
            TestCodes::Reusable => true,
            TestCodes::SingleUse(used) => used.insert((presented.terms.platform, presented.code.to_owned())),
        };
        if !fresh {
            self.revoke_code(presented);
            return Some(Err(Refusal::Code));
        }
        Some(Ok(Consent {
            platform: presented.terms.platform,
            login,
            scopes: presented.terms.test_scopes.iter().map(ToString::to_string).collect(),
            redirect_uri: presented.redirect_uri.unwrap_or_default().to_owned(),
            challenge: None,
        }))
    }

    /// Consent of an issued code, if the request matches it.
    fn issued_consent(&mut self, presented: &Presented<'_>, now: UtcDateTime) -> Result<Consent, Refusal> {
        let code = self.codes.get_mut(presented.code).ok_or(Refusal::Code)?;
        let (consent, used) = (code.consent.clone(), std::mem::replace(&mut code.used, true));
        let expired = code.expires_at <= now;
        if used {
            self.revoke_code(presented);
        }
        if used || expired || consent.platform != presented.terms.platform {
            return Err(Refusal::Code);
        }
        if presented.redirect_uri.is_some_and(|uri| uri != consent.redirect_uri) {
            return Err(Refusal::RedirectUri);
        }
        let proved = match &consent.challenge {
            None => true,
            Some(challenge) => presented.verifier.is_some_and(|verifier| s256(verifier) == *challenge),
        };
        if proved { Ok(consent) } else { Err(Refusal::Code) }
    }

    fn revoke_code(&mut self, presented: &Presented<'_>) {
        self.tokens
            .retain(|token| token.platform != presented.terms.platform || token.code != presented.code);
    }
}

impl Token {
    fn is_alive(&self, now: UtcDateTime) -> bool {
        self.is_good(now) || self.refresh_token.is_some()
    }

    fn is_good(&self, now: UtcDateTime) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Remaining lifetime of the access token.
    pub(crate) fn expires_in(&self, now: UtcDateTime) -> Option<Duration> {
        self.expires_at.map(|end| end - now)
    }
}

/// Origin of a token.
struct Root {
    login: String,
    scopes: BTreeSet<String>,
    family: u64,
    code: String,
}

/// Result of using a refresh token.
#[derive(Debug)]
pub(crate) struct Renewed {
    pub(crate) rotation: Rotation,
    /// Login of its owner; none if nothing of the family is left.
    pub(crate) login: Option<String>,
    pub(crate) token: Option<Token>,
}

/// S256 challenge of a verifier (RFC 7636 section 4.2).
fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// Generator of token texts, unguessable without the seed and repeatable with it.
#[derive(Debug)]
struct Minter {
    seed: u64,
    minted: u64,
}

impl Minter {
    /// Next text: this number of hexadecimal digits, at most 64.
    fn mint(&mut self, digits: usize) -> String {
        self.minted += 1;
        let digest = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(self.minted.to_be_bytes());
        let mut text = HEXLOWER.encode(&digest.finalize());
        text.truncate(digits);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vector of RFC 7636 appendix B.
    #[test]
    fn challenge_matches_the_rfc_vector() {
        assert_eq!(
            s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    const TERMS: Terms = Terms {
        platform: Platform::Discord,
        token_prefix: "",
        refresh_prefix: "",
        code_lifetime: Duration::minutes(10),
        access_lifetime: Some(Duration::HOUR),
        renewal: Renewal::Always,
        test_scopes: &[],
    };
    const START: UtcDateTime = UtcDateTime::UNIX_EPOCH;

    fn presented(code: &str) -> Presented<'_> {
        Presented {
            terms: &TERMS,
            code,
            redirect_uri: None,
            verifier: None,
        }
    }

    #[test]
    fn a_code_ends_with_its_lifetime() {
        let mut grants = Grants::new(1);
        let consent = Consent {
            platform: Platform::Discord,
            login: "ada".into(),
            scopes: BTreeSet::new(),
            redirect_uri: "https://app.example/back".into(),
            challenge: None,
        };
        let code = grants.issue_code(consent, &TERMS, START);
        let late = grants.redeem(&presented(&code), START + Duration::minutes(10));
        assert_eq!(late, Err(Refusal::Code));
    }

    #[test]
    fn access_token_expires_and_its_refresh_token_does_not() {
        let mut grants = Grants::new(1);
        let first = grants.redeem(&presented("test_code_ada"), START).unwrap();
        let later = START + Duration::HOUR;
        let alive = |grants: &Grants, now| grants.token(Platform::Discord, &first.access_token, now).is_some();
        assert!(alive(&grants, later - Duration::SECOND) && !alive(&grants, later));
        let renewed = grants.refresh(&TERMS, &first.refresh_token.unwrap(), later);
        assert_eq!(renewed.rotation, Rotation::Rotated);
        let token = renewed.token.unwrap();
        assert_eq!(token.expires_in(later), Some(Duration::HOUR));
        assert_eq!(grants.tokens(), [token], "what expired is forgotten");
    }
}

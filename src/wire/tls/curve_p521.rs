//! Key exchange on the curve P-521. rustls leaves it out; nats-server offers it, and its own example of a configuration
//! file names it.
//!
//! The arithmetic is aws-lc's, as that of rustls's own curves; here is only the way to it. *Once per handshake.*

use aws_lc_rs::agreement::{
    Algorithm, ECDH_P521, EphemeralPrivateKey, PublicKey, UnparsedPublicKey, agree_ephemeral,
};
use aws_lc_rs::rand::SystemRandom;
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved};

/// For a provider's list of curves.
pub(super) const SECP521R1: &dyn SupportedKxGroup = &CurveP521;

static ALGORITHM: &Algorithm = &ECDH_P521;

/// How a point begins that is written whole. TLS allows no other way, aws-lc takes them all.
const UNCOMPRESSED: u8 = 4;

#[derive(Debug)]
struct CurveP521;

struct Exchange {
    private: EphemeralPrivateKey,
    public: PublicKey,
}

impl SupportedKxGroup for CurveP521 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let private = EphemeralPrivateKey::generate(ALGORITHM, &SystemRandom::new())
            .map_err(|_| GetRandomFailed)?;
        let public = private.compute_public_key().map_err(|_| GetRandomFailed)?;
        Ok(Box::new(Exchange { private, public }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let invalid = || Error::from(PeerMisbehaved::InvalidKeyShare);
        if peer.first() != Some(&UNCOMPRESSED) {
            return Err(invalid());
        }
        let peer = UnparsedPublicKey::new(ALGORITHM, peer);
        agree_ephemeral(self.private, peer, invalid(), |secret| {
            Ok(SharedSecret::from(secret))
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_come_to_the_same_secret() {
        let (one, other) = (SECP521R1.start().unwrap(), SECP521R1.start().unwrap());
        let (of_one, of_other) = (one.pub_key().to_vec(), other.pub_key().to_vec());
        // A point is two numbers of 521 bits.
        assert_eq!(of_one.len(), 1 + 2 * 66);
        assert_ne!(of_one, of_other);
        let (one, other) = (one.complete(&of_other), other.complete(&of_one));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.secret_bytes(), other.secret_bytes());
        assert_eq!(one.secret_bytes().len(), 66);
    }

    #[test]
    fn what_is_no_point_on_the_curve_is_refused() {
        let point = SECP521R1.start().unwrap().pub_key().to_vec();
        let mut elsewhere = point.clone();
        elsewhere[132] ^= 1;
        let mut compressed = point[..67].to_vec();
        compressed[0] = 2 + (point[132] & 1);
        for wrong in [&elsewhere[..], &compressed, &point[..132], &[4], &[]] {
            let verdict = SECP521R1.start().unwrap().complete(wrong);
            assert!(matches!(
                verdict,
                Err(Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare))
            ));
        }
    }
}

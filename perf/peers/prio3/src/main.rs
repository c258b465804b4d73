//! Times libprio-rs's Prio3SumVec: what one device and both aggregators spend on a vector of 8-bit
//! values. Prints one line of JSON a device; perf/peers/peers.py reads them.
//!
//! usage: prio3-peer VALUES DEVICES
//!
//! Two instances: `field128`, the Prio3SumVec of the VDAF draft, and `field64`, the
//! same circuit over the smaller field with three proofs, for those who would rather have speed. The
//! aggregators begin with encoded bytes, as they would come from the network, and the sum of
//! all devices is compared with the plain one before the program says that it checked it.

use prio::codec::{Encode, ParameterizedDecode};
use prio::field::{Field128, Field64};
use prio::flp::gadgets::{Mul, ParallelSum};
use prio::flp::{types::SumVec, Type};
use prio::vdaf::prio3::{
    optimal_chunk_length, Prio3, Prio3InputShare, Prio3PublicShare, Prio3VerifierShare,
};
use prio::vdaf::xof::{Xof, XofHmacSha256Aes128, XofTurboShake128};
use prio::vdaf::{Aggregatable, Aggregator, Client, Collector, VerifyTransition};

const AGGREGATORS: u8 = 2;
const BITS: usize = 8;
const CONTEXT: &[u8] = b"millrace perf peers";

/// User and system seconds of this process so far.
fn cpu_s() -> f64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `t` is valid for the call, which writes nothing else.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    assert_eq!(result, 0, "clock_gettime");
    t.tv_sec as f64 + 1e-9 * t.tv_nsec as f64
}

/// Value `i` of that device: any 8-bit numbers do, the cost does not depend on them.
fn value(device: u64, i: u64) -> u64 {
    (i * 7 + device * 31 + i / 251) & 0xff
}

/// A device's upload, encoded as it travels.
struct Report {
    nonce: [u8; 16],
    public_share: Vec<u8>,
    input_shares: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Cost {
    device_s: f64,
    servers_s: f64,
    upload_bytes: usize,
    between_bytes: usize,
}

fn shard<T: Type, P: Xof<32>>(
    vdaf: &Prio3<T, P, 32>,
    measurement: &T::Measurement,
    cost: &mut Cost,
) -> Report {
    let began = cpu_s();
    let nonce: [u8; 16] = rand::random();
    let (public_share, input_shares) = vdaf.shard(CONTEXT, measurement, &nonce).unwrap();
    let report = Report {
        nonce,
        public_share: public_share.get_encoded().unwrap(),
        input_shares: input_shares
            .iter()
            .map(|s| s.get_encoded().unwrap())
            .collect(),
    };
    cost.device_s += cpu_s() - began;
    cost.upload_bytes = report.nonce.len() + report.public_share.len();
    cost.upload_bytes += report.input_shares.iter().map(Vec::len).sum::<usize>();
    report
}

/// Both aggregators' work for one report: decode, verify, exchange, add.
fn aggregate<T: Type, P: Xof<32>>(
    vdaf: &Prio3<T, P, 32>,
    verify_key: &[u8; 32],
    report: &Report,
    sums: &mut [<Prio3<T, P, 32> as prio::vdaf::Vdaf>::AggregateShare],
    cost: &mut Cost,
) {
    let began = cpu_s();
    let mut states = Vec::new();
    let mut sent = Vec::new();
    for (id, bytes) in report.input_shares.iter().enumerate() {
        let public_share =
            Prio3PublicShare::get_decoded_with_param(vdaf, &report.public_share).unwrap();
        let input_share = Prio3InputShare::get_decoded_with_param(&(vdaf, id), bytes).unwrap();
        let (state, share) = vdaf
            .verify_init(
                verify_key,
                CONTEXT,
                id,
                &(),
                &report.nonce,
                &public_share,
                &input_share,
            )
            .unwrap();
        states.push(state);
        sent.push(share.get_encoded().unwrap());
    }
    let shares: Vec<_> = sent
        .iter()
        .map(|bytes| Prio3VerifierShare::get_decoded_with_param(&states[0], bytes).unwrap())
        .collect();
    let message = vdaf
        .verifier_shares_to_message(CONTEXT, &(), shares)
        .unwrap();
    cost.between_bytes += sent.iter().map(Vec::len).sum::<usize>();
    cost.between_bytes += message.get_encoded().unwrap().len();
    for (state, sum) in states.into_iter().zip(sums) {
        match vdaf.verify_next(CONTEXT, state, message.clone()).unwrap() {
            VerifyTransition::Finish(output) => sum.accumulate(&output).unwrap(),
            VerifyTransition::Continue(..) => panic!("Prio3 has one round"),
        }
    }
    cost.servers_s += cpu_s() - began;
}

fn measure<T, P, I>(name: &str, vdaf: &Prio3<T, P, 32>, values: u64, devices: u64)
where
    T: Type<Measurement = Vec<I>, AggregateResult = Vec<I>>,
    P: Xof<32>,
    I: From<u8> + TryInto<u64>,
{
    let verify_key: [u8; 32] = rand::random();
    let mut sums: Vec<_> = (0..AGGREGATORS).map(|_| vdaf.aggregate_init(&())).collect();
    for device in 0..devices {
        let mut cost = Cost::default();
        let measurement = (0..values)
            .map(|i| I::from(value(device, i) as u8))
            .collect();
        let report = shard(vdaf, &measurement, &mut cost);
        aggregate(vdaf, &verify_key, &report, &mut sums, &mut cost);
        println!(
            "{{\"instance\": \"{name}\", \"device_ms\": {}, \"servers_ms\": {}, \
             \"upload_bytes\": {}, \"between_bytes\": {}}}",
            1e3 * cost.device_s,
            1e3 * cost.servers_s,
            cost.upload_bytes,
            cost.between_bytes
        );
    }
    let result = vdaf.unshard(&(), sums, devices as usize).unwrap();
    for (i, lane) in result.into_iter().enumerate() {
        let plain = (0..devices).map(|d| value(d, i as u64)).sum::<u64>();
        assert!(
            lane.try_into().ok() == Some(plain),
            "the sum is WRONG in lane {i}"
        );
    }
}

fn main() {
    let arguments: Vec<u64> = std::env::args()
        .skip(1)
        .map(|a| a.parse().expect("usage: prio3-peer VALUES DEVICES"))
        .collect();
    let &[values, devices] = &arguments[..] else {
        panic!("usage: prio3-peer VALUES DEVICES")
    };
    let chunk = optimal_chunk_length(values as usize * BITS);
    let field128 = Prio3::new_sum_vec(AGGREGATORS, 255, values as usize, chunk).unwrap();
    // A 64-bit field is too small for one proof to convince: hence three. The algorithm's number is
    // from the range for private use.
    let circuit = SumVec::<Field64, ParallelSum<Field64, Mul>>::new(255, values as usize, chunk);
    let field64: Prio3<_, XofHmacSha256Aes128, 32> =
        Prio3::new(AGGREGATORS, 3, 0xffff_1003, circuit.unwrap()).unwrap();
    measure::<SumVec<Field128, ParallelSum<Field128, Mul>>, XofTurboShake128, _>(
        "field128", &field128, values, devices,
    );
    measure("field64", &field64, values, devices);
    println!("{{\"checked\": true}}");
}

//! Times libprio-rs's discrete Gaussian for perf/peers/peers.py: nanoseconds of CPU a sample, one line of
//! JSON for each turn.
//!
//! usage: prio3-gauss SIGMA SAMPLES TURNS

use prio::dp::distributions::DiscreteGaussian;
use prio::dp::Rational;
use rand::distr::Distribution;

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

fn main() {
    let arguments: Vec<u64> = std::env::args()
        .skip(1)
        .map(|a| a.parse().expect("usage: prio3-gauss SIGMA SAMPLES TURNS"))
        .collect();
    let &[sigma, samples, turns] = &arguments[..] else {
        panic!("usage: prio3-gauss SIGMA SAMPLES TURNS")
    };
    let gauss =
        DiscreteGaussian::new(Rational::from_unsigned(u128::from(sigma), 1).unwrap()).unwrap();
    let mut rng = rand::rng();
    for _ in 0..turns {
        let began = cpu_s();
        let drawn: Vec<_> = (0..samples).map(|_| gauss.sample(&mut rng)).collect();
        let spent = cpu_s() - began;
        let square: f64 = drawn
            .iter()
            .map(|x| x.to_string().parse::<f64>().unwrap().powi(2))
            .sum();
        let ratio = square / samples as f64 / (sigma * sigma) as f64;
        assert!(
            (ratio - 1.0).abs() < 6.0 * (2.0 / samples as f64).sqrt(),
            "the variance is WRONG"
        );
        println!("{{\"ns\": {}}}", 1e9 * spent / samples as f64);
    }
}

//! Proximal consensus the slow way, from `docs/NUMERICS.md` and not from the crate: masses are differences of CDFs,
//! windows and quorums are enumerated, and everything is in plain float64. Only cumulative distribution functions are
//! taken from the crate (they have tables of their own).

mod coalition;

use centauri_engine::*;

/// What the slow way says of a round.
#[derive(Debug)]
pub(crate) struct Slow {
    pub(crate) decided: bool,
    pub(crate) ln_reported: Vec<f64>,
    pub(crate) quorum: Vec<usize>,
    pub(crate) ln_evidence: f64,
    pub(crate) region: Option<(usize, usize)>,
    pub(crate) honest: Vec<f64>,
    /// Distance to the runner-up, for value and quorum.
    pub(crate) gap: f64,
}

pub(crate) struct Setting<'a> {
    pub(crate) spec: &'a StreamSpec,
    pub(crate) ln_prior: Vec<f64>,
}

pub(crate) fn inline(reference: &DistributionRef) -> &Distribution {
    match reference {
        DistributionRef::Inline(distribution) => distribution,
        DistributionRef::Named(name) => panic!("{name}: the slow way knows no names"),
    }
}

fn ln_sum(values: &[f64]) -> f64 {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        top
    } else {
        top + values.iter().map(|v| (v - top).exp()).sum::<f64>().ln()
    }
}

fn mass(d: &Distribution, a: f64, b: f64) -> f64 {
    if d.is_discrete() {
        let shift = d.offset();
        // Atoms are at whole numbers from the offset on: those k with a <= k < b.
        let (from, to) = ((a - shift - 1e-9).ceil(), (b - shift - 1e-9).ceil());
        return d.cdf(to - 0.5 + shift) - d.cdf(from - 0.5 + shift);
    }
    if d.cdf(a) > 0.5 { d.sf(a) - d.sf(b) } else { d.cdf(b) - d.cdf(a) }
}

fn normal_mass(centre: f64, half: f64, variance: f64) -> f64 {
    let scale = (2.0 * variance).sqrt();
    let (a, b) = ((centre - half) / scale, (centre + half) / scale);
    if a > 0.0 { (libm::erfc(a) - libm::erfc(b)) / 2.0 } else { (libm::erfc(-b) - libm::erfc(-a)) / 2.0 }
}

/// The chances of each message to be in time and to be late.
fn in_time(output: &OutputSpec) -> Vec<(f64, f64)> {
    let mut offsets = output.messages.clone();
    offsets.sort_by(f64::total_cmp);
    let p = |t: f64| match (&output.arrival, output.deadline) {
        (None, None) => (1.0, 0.0),
        (None, Some(deadline)) if t <= deadline => (1.0, 0.0),
        (_, Some(deadline)) if t > deadline => (0.0, 1.0),
        (Some(d), Some(deadline)) => (inline(d).cdf(deadline - t), 1.0 - inline(d).cdf(deadline - t)),
        (None, Some(_)) => panic!("a deadline is before or after"),
        (Some(_), None) => panic!("no deadline"),
    };
    offsets.into_iter().map(p).collect()
}

/// Every set of arrivals, with its probability: which messages arrived.
fn windows(p: &[(f64, f64)]) -> Vec<(u32, f64)> {
    (0u32..1 << p.len())
        .map(|set| {
            let probability = |j: usize| if set >> j & 1 == 1 { p[j].0 } else { p[j].1 };
            (set, (0..p.len()).map(probability).product())
        })
        .filter(|&(_, w)| w > 0.0)
        .collect()
}

/// P(report | X = x) without link.
fn honest(spec: &StreamSpec, replica: usize, report: Option<i64>, s: usize) -> f64 {
    let (support, output) = (&spec.support, &spec.output);
    let noise = spec.replicas[replica].noise.as_ref().or(output.noise.as_ref()).map(inline);
    let (x, half) = (support.point(s), support.step() / 2.0);
    if output.computation == Computation::Identity {
        return report.map_or(0.0, |i| {
            let away = (i - s as i64) as f64 * support.step();
            mass(noise.expect("identity has a noise"), away - half, away + half)
        });
    }
    let p = in_time(output);
    let (m, windows) = (p.len(), windows(&p));
    let nothing = windows.iter().find(|w| w.0 == 0).map_or(0.0, |w| w.1);
    let Some(i) = report else {
        return if matches!(output.computation, Computation::Count | Computation::Sum) {
            0.0
        } else {
            nothing
        };
    };
    let v = support.min() + i as f64 * support.step();
    let (bias, own) = noise.map_or((0.0, 0.0), |d| (d.mean(), d.variance()));
    let component = |mean: f64, variance: f64| {
        if variance > 0.0 {
            normal_mass(v - mean, half, variance)
        } else {
            f64::from(u8::from(support.bin(mean) == i))
        }
    };
    let variance = || inline(output.source.as_ref().expect("a source")).variance();
    windows
        .iter()
        .map(|&(set, w)| {
            let k = set.count_ones() as usize;
            w * match output.computation {
                Computation::Count => among_successes(m, set, x, v),
                Computation::Sum => {
                    let share = k as f64 / m as f64;
                    let spread = if k == m || k == 0 { 0.0 } else { variance() * share * (m - k) as f64 };
                    component(share * x + bias, spread + own)
                }
                Computation::Mean if k == 0 => 0.0,
                Computation::Mean => {
                    let spread = if k == m { 0.0 } else { variance() * (1.0 / k as f64 - 1.0 / m as f64) };
                    component(x + bias, spread + own)
                }
                Computation::Last if k == 0 => 0.0,
                Computation::Last => {
                    let lag = m - 1 - (31 - set.leading_zeros()) as usize;
                    component(x + bias, lag as f64 * variance() + own)
                }
                Computation::Min | Computation::Max => {
                    extreme(output, m, set, x, v, half, support.bin(x) == i)
                }
                Computation::Identity => 0.0,
            }
        })
        .sum()
}

/// All choices of x successes among m messages alike: the share of them in which v arrived.
fn among_successes(m: usize, arrived: u32, x: f64, v: f64) -> f64 {
    if (x - x.round()).abs() > 1e-9 || (v - v.round()).abs() > 1e-9 {
        return 0.0;
    }
    let chosen = (0u32..1 << m).filter(|c| f64::from(c.count_ones()) == x.round());
    let (mut all, mut fitting) = (0.0, 0.0);
    for choice in chosen {
        all += 1.0;
        if f64::from((choice & arrived).count_ones()) == v.round() {
            fitting += 1.0;
        }
    }
    if all > 0.0 { fitting / all } else { 0.0 }
}

/// Which message is the extreme one is even; if it arrived the report is x, if not the extreme of k others.
fn extreme(output: &OutputSpec, m: usize, set: u32, x: f64, v: f64, half: f64, same_bin: bool) -> f64 {
    let source = inline(output.source.as_ref().expect("a source"));
    let min = output.computation == Computation::Min;
    let beyond = |u: f64| if min { source.sf(u) } else { source.cdf(u) };
    if beyond(x) <= 0.0 {
        return 0.0;
    }
    let k = set.count_ones() as i32;
    let arrived = f64::from(k) / m as f64;
    let (near, far) = if min { ((v - half).max(x), v + half) } else { ((v + half).min(x), v - half) };
    let inside = if min { far > x } else { far < x };
    let ratio = |u: f64| (beyond(u) / beyond(x)).min(1.0);
    let others = if inside && k > 0 { ratio(near).powi(k) - ratio(far).powi(k) } else { 0.0 };
    arrived * f64::from(u8::from(same_bin)) + (1.0 - arrived) * others
}

fn on_time(spec: &StreamSpec, replica: usize) -> (f64, f64) {
    match spec.replicas[replica].link.as_ref().or(spec.link.as_ref()) {
        None => (1.0, 0.0),
        Some(Link::OnTime(p)) => (*p, 1.0 - p),
        Some(Link::Latency { arrival, deadline }) => {
            (inline(arrival).cdf(*deadline), inline(arrival).sf(*deadline))
        }
    }
}

pub(crate) fn ln_likelihood(spec: &StreamSpec, replica: usize, observation: Observation) -> Vec<f64> {
    let (a, _) = on_time(spec, replica);
    (0..spec.support.points())
        .map(|s| {
            let p = match observation {
                Observation::Bin(i) => a * honest(spec, replica, Some(i), s),
                _ => 1.0 - a * (1.0 - honest(spec, replica, None, s)),
            };
            if p.ln() < -1000.0 { f64::NEG_INFINITY } else { p.ln() }
        })
        .collect()
}

/// What fails as one, in the order of first replicas: groups, and replicas that are in none.
fn units(spec: &StreamSpec) -> Vec<Vec<usize>> {
    let mut units: Vec<Vec<usize>> = Vec::new();
    for i in 0..spec.replicas.len() {
        let group = spec.groups.iter().find(|group| group.members.contains(&i));
        let mates = group.map_or(vec![i], |group| group.members.clone());
        if mates.iter().all(|&mate| mate >= i) {
            units.push(mates);
        }
    }
    units
}

/// Decides by enumerating every subset as bits.
pub(crate) fn decide(setting: &Setting<'_>, observations: &[Observation], objective: Objective) -> Slow {
    let spec = setting.spec;
    let points = spec.support.points();
    let all = units(spec);
    let left: Vec<Vec<usize>> = all
        .iter()
        .filter(|u| u.iter().all(|&i| observations[i] != Observation::Equivocated))
        .cloned()
        .collect();
    let (n, gone) = (left.len(), all.len() - left.len());
    let f = spec.faults.saturating_sub(gone);
    let of_replica: Vec<Vec<f64>> = (0..observations.len())
        .map(|i| match observations[i] {
            Observation::Equivocated => Vec::new(),
            observation => ln_likelihood(spec, i, observation),
        })
        .collect();
    let rows: Vec<Vec<f64>> = left
        .iter()
        .map(|unit| (0..points).map(|s| unit.iter().map(|&i| of_replica[i][s]).sum()).collect())
        .collect();
    let ln_u_of = |i: usize| match observations[i] {
        Observation::Missing => spec.silence.ln(),
        _ => ((1.0 - spec.silence) / points as f64).ln(),
    };
    let ln_u: Vec<f64> = left.iter().map(|unit| unit.iter().map(|&i| ln_u_of(i)).sum()).collect();
    let score = |honest: u32| -> Vec<f64> {
        (0..points)
            .map(|s| {
                let term = |i: usize| if honest >> i & 1 == 1 { rows[i][s] } else { ln_u[i] };
                setting.ln_prior[s] + (0..n).map(term).sum::<f64>()
            })
            .collect()
    };
    let mut honest = vec![0.0; observations.len()];
    let none = |ln: &[f64]| Slow {
        decided: false,
        ln_reported: ln.to_vec(),
        quorum: vec![],
        ln_evidence: f64::NEG_INFINITY,
        region: None,
        honest: vec![],
        gap: f64::INFINITY,
    };
    if n <= f {
        return none(&setting.ln_prior);
    }
    let of_size = |size: usize| (0u32..1 << n).filter(move |q| q.count_ones() as usize == size);
    let mut quorums: Vec<(u32, Vec<f64>, f64)> = of_size(n - f)
        .map(|q| {
            let score = score(q);
            let z = ln_sum(&score);
            (q, score, z)
        })
        .filter(|q| q.2 > f64::NEG_INFINITY)
        .collect();
    if quorums.is_empty() {
        return none(&setting.ln_prior);
    }
    // Lexicographic order of positions: the first replica is the most significant.
    quorums.sort_by_key(|q| std::cmp::Reverse(q.0.reverse_bits()));
    let peak = |score: &[f64]| {
        let top = score.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        score.iter().position(|&v| v >= top - 1e-6).expect("a score is not empty")
    };
    let peaks: Vec<usize> = quorums.iter().map(|q| peak(&q.1)).collect();
    let region = Some((*peaks.iter().min().unwrap(), *peaks.iter().max().unwrap()));

    let mut terms: Vec<(u32, Vec<f64>)> = Vec::new();
    for b in 0..=f {
        let subsets: Vec<u32> = of_size(n - b).collect();
        let ln_w = -((f + 1) as f64).ln() - (subsets.len() as f64).ln();
        terms.extend(subsets.into_iter().map(|q| (q, score(q).iter().map(|s| s + ln_w).collect())));
    }
    let column = |s: usize, keep: &dyn Fn(u32) -> bool| {
        ln_sum(&terms.iter().filter(|t| keep(t.0)).map(|t| t.1[s]).collect::<Vec<_>>())
    };
    let total: Vec<f64> = (0..points).map(|s| column(s, &|_| true)).collect();
    let z = ln_sum(&total);
    let ln_marginal: Vec<f64> = total.iter().map(|t| t - z).collect();
    for (i, unit) in left.iter().enumerate() {
        let with: Vec<f64> = (0..points).map(|s| column(s, &|q| q >> i & 1 == 1)).collect();
        unit.iter().for_each(|&position| honest[position] = (ln_sum(&with) - z).exp());
    }
    let mut averaged = ln_marginal;
    if objective == Objective::Coalition {
        let round = coalition::Round { spec, observations, left: &left, faults: f, rows: &of_replica };
        let told = coalition::decide(&round, &setting.ln_prior);
        averaged = told.ln_posterior;
        for (unit, p) in left.iter().zip(told.honest) {
            unit.iter().for_each(|&position| honest[position] = p);
        }
    }
    let (chosen, ln_reported, ln_evidence, gap);
    if matches!(objective, Objective::Marginal | Objective::Coalition) {
        let mut order: Vec<usize> = Vec::new();
        while order.len() < n - f {
            let rest: Vec<usize> = (0..n).filter(|i| !order.contains(i)).collect();
            let top = rest.iter().map(|&i| honest[left[i][0]]).fold(0.0, f64::max);
            order.push(*rest.iter().find(|&&i| honest[left[i][0]] >= top - 1e-9).unwrap());
        }
        let mut sorted: Vec<f64> = left.iter().map(|unit| honest[unit[0]]).collect();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let between = if f > 0 { sorted[n - f - 1] - sorted[n - f] } else { f64::INFINITY };
        chosen = order.iter().fold(0u32, |q, i| q | 1 << i);
        ln_evidence = ln_sum(&score(chosen));
        ln_reported = averaged;
        gap = between.min(runner_up(&ln_reported));
    } else {
        let key = |q: &(u32, Vec<f64>, f64)| {
            let top = q.1.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            match objective {
                Objective::Posterior => (top - q.2, q.2),
                Objective::Joint => (top, q.2),
                _ => (q.2, top - q.2),
            }
        };
        let best = quorums.iter().map(|q| key(q).0).fold(f64::NEG_INFINITY, f64::max);
        let tied: Vec<_> = quorums.iter().filter(|q| key(q).0 >= best - 1e-6).collect();
        let second = tied.iter().map(|q| key(q).1).fold(f64::NEG_INFINITY, f64::max);
        let (q, scores, z) = *tied.iter().find(|q| key(q).1 >= second - 1e-6).unwrap();
        let others = quorums.iter().filter(|other| other.0 != *q).map(|other| {
            let away = best - key(other).0;
            if away > 1e-6 { away } else { (second - key(other).1).abs() }
        });
        chosen = *q;
        ln_evidence = *z;
        ln_reported = scores.iter().map(|s| s - z).collect::<Vec<_>>();
        gap = others.fold(f64::INFINITY, f64::min).min(runner_up(&ln_reported));
    }
    let mut quorum: Vec<usize> =
        (0..n).filter(|i| chosen >> i & 1 == 1).flat_map(|i| left[i].clone()).collect();
    quorum.sort_unstable();
    Slow { decided: true, ln_reported, quorum, ln_evidence, region, honest, gap }
}

/// Distance of the two largest.
fn runner_up(ln: &[f64]) -> f64 {
    let mut sorted = ln.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    if sorted.len() > 1 { sorted[0] - sorted[1] } else { f64::INFINITY }
}

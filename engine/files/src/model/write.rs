//! Writes model files.

use super::stream::UNIFORM;
use centauri_engine::limits::{CREDIBLE_DEFAULT, LEAK_DEFAULT, SILENCE_DEFAULT};
use centauri_engine::{
    Distribution, DistributionRef, Family, Link, ModelSet, Objective, PriorSpec, StreamSpec,
};
use std::fmt::Write as _;

/// The model file that says `set`; [`parse_model`](crate::parse_model) makes the same of it again.
///
/// Values that are the default are left out. What the format cannot say (a name with control characters, a number that is not
/// finite) is written as it is and refused when it is read.
#[must_use]
pub fn write_model(set: &ModelSet) -> String {
    let mut text = String::from("version = 1\n");
    if !set.distributions.is_empty() {
        text.push_str("\n[distributions]\n");
        for (name, distribution) in &set.distributions {
            line(&mut text, &key(name), &distribution_to_toml(distribution));
        }
    }
    for stream in &set.streams {
        write_stream(&mut text, stream);
    }
    text
}

/// The distribution in the inline form of a model file; every number reads back as the same float64.
#[must_use]
pub fn distribution_to_toml(distribution: &Distribution) -> String {
    let mut fields = vec![("family", string(distribution.family().name()))];
    fields.extend(parameters(distribution.family()));
    if distribution.offset() != 0.0 {
        fields.push(("offset", number(distribution.offset())));
    }
    inline(&fields)
}

fn parameters(family: &Family) -> Vec<(&'static str, String)> {
    let floats =
        |pairs: &[(&'static str, f64)]| pairs.iter().map(|&(key, value)| (key, number(value))).collect();
    match *family {
        Family::Normal { mean, sd } => floats(&[("mean", mean), ("sd", sd)]),
        Family::Lognormal { mu, sigma } => floats(&[("mu", mu), ("sigma", sigma)]),
        Family::Exponential { mean } | Family::Poisson { mean } => floats(&[("mean", mean)]),
        Family::Gamma { shape, scale } | Family::Weibull { shape, scale } => {
            floats(&[("shape", shape), ("scale", scale)])
        }
        Family::Uniform { low, high } => floats(&[("low", low), ("high", high)]),
        Family::Laplace { mean, scale } | Family::Logistic { mean, scale } => {
            floats(&[("mean", mean), ("scale", scale)])
        }
        Family::StudentT { df, mean, scale } => floats(&[("df", df), ("mean", mean), ("scale", scale)]),
        Family::Binomial { trials, p } => vec![("trials", trials.to_string()), ("p", number(p))],
        Family::Geometric { p } => floats(&[("p", p)]),
        Family::NegativeBinomial { r, p } => floats(&[("r", r), ("p", p)]),
        Family::Empirical { ref edges, ref counts } => {
            vec![("edges", numbers(edges)), ("counts", numbers(counts))]
        }
        Family::Mixture { ref weights, ref components } => {
            let components = list(components.iter().map(distribution_to_toml));
            vec![("weights", numbers(weights)), ("components", components)]
        }
        _ => Vec::new(),
    }
}

fn write_stream(text: &mut String, stream: &StreamSpec) {
    text.push_str("\n[[streams]]\n");
    line(text, "name", &string(&stream.name));
    line(text, "replicas", &list(stream.replicas.iter().map(|replica| string(&replica.name))));
    line(text, "faults", &stream.faults.to_string());
    if stream.objective != Objective::default() {
        line(text, "objective", &string(stream.objective.name()));
    }
    if stream.credible != CREDIBLE_DEFAULT {
        line(text, "credible", &number(stream.credible));
    }
    if stream.silence != SILENCE_DEFAULT {
        line(text, "silence", &number(stream.silence));
    }
    let support = &stream.support;
    let grid = [
        ("min", number(support.min())),
        ("step", number(support.step())),
        ("points", support.points().to_string()),
    ];
    line(text, "support", &inline(&grid));
    match &stream.prior {
        PriorSpec::Uniform => {}
        PriorSpec::Fixed(distribution) => line(text, "prior", &reference(distribution)),
        PriorSpec::Following { step, initial, leak } => {
            line(text, "prior", &following(step, initial.as_ref(), *leak));
        }
    }
    if !stream.groups.is_empty() {
        text.push_str("\n[streams.groups]\n");
        for group in &stream.groups {
            let members = group.members.iter().filter_map(|&position| stream.replicas.get(position));
            line(text, &key(&group.name), &list(members.map(|replica| string(&replica.name))));
        }
    }
    write_output(text, stream);
    if let Some(link) = &stream.link {
        text.push_str("\n[streams.link]\n");
        write_link(text, link);
    }
    for replica in &stream.replicas {
        let name = key(&replica.name);
        if let Some(noise) = &replica.noise {
            let _ = writeln!(text, "\n[streams.replica.{name}]");
            line(text, "noise", &reference(noise));
        }
        if let Some(link) = &replica.link {
            let _ = writeln!(text, "\n[streams.replica.{name}.link]");
            write_link(text, link);
        }
    }
}

fn write_output(text: &mut String, stream: &StreamSpec) {
    let output = &stream.output;
    text.push_str("\n[streams.output]\n");
    line(text, "computation", &string(output.computation.name()));
    if !output.messages.is_empty() {
        line(text, "messages", &messages(&output.messages));
    }
    if let Some(arrival) = &output.arrival {
        line(text, "arrival", &reference(arrival));
    }
    if let Some(deadline) = output.deadline {
        line(text, "deadline", &number(deadline));
    }
    for (key, distribution) in [("source", &output.source), ("noise", &output.noise)] {
        if let Some(distribution) = distribution {
            line(text, key, &reference(distribution));
        }
    }
}

fn write_link(text: &mut String, link: &Link) {
    match link {
        Link::OnTime(p) => line(text, "on_time", &number(*p)),
        Link::Latency { arrival, deadline } => {
            line(text, "arrival", &reference(arrival));
            line(text, "deadline", &number(*deadline));
        }
    }
}

/// The offsets as `{ count, period }` where that says exactly the same and is shorter.
fn messages(offsets: &[f64]) -> String {
    const LIST_MAX: usize = 3;
    let period = offsets.get(1).copied().unwrap_or(0.0);
    let regular = period >= 0.0 && offsets.iter().enumerate().all(|(i, &offset)| offset == i as f64 * period);
    if offsets.len() > LIST_MAX && regular && (offsets.len() as f64 * period).is_finite() {
        return inline(&[("count", offsets.len().to_string()), ("period", number(period))]);
    }
    numbers(offsets)
}

fn following(step: &DistributionRef, initial: Option<&DistributionRef>, leak: f64) -> String {
    let mut fields = vec![("from", string("previous")), ("step", reference(step))];
    fields.push(("initial", initial.map_or_else(|| string(UNIFORM), reference)));
    if leak != LEAK_DEFAULT {
        fields.push(("leak", number(leak)));
    }
    inline(&fields)
}

fn reference(distribution: &DistributionRef) -> String {
    match distribution {
        DistributionRef::Named(name) => string(name),
        DistributionRef::Inline(distribution) => distribution_to_toml(distribution),
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "{key} = {value}");
}

fn inline(fields: &[(&str, String)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{{ {} }}", fields.join(", "))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn numbers(values: &[f64]) -> String {
    list(values.iter().map(|&value| number(value)))
}

/// The shortest decimal that reads back as the same float64. Rust's debug form is TOML: it has a point or an
/// exponent, and a digit on either side of the point.
fn number(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { format!("{value:?}") }
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { name.to_owned() } else { string(name) }
}

/// A basic string of TOML.
fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

//! `centauri fit`: distributions and models from history in which some lie.

use anyhow::Context;
use centauri_files::{
    AtomicFile, Directory, Gaps, Readings, Rounds, collect_rounds, distribution_to_toml, locate,
    parse_template, read_model_text, read_samples, write_model,
};
use centauri_fit::{
    Calibration, FamilyName, FitOptions, Fitted, FittedModel, History, Missing, ModelOptions, StreamReport,
    Template, fit_distribution, fit_model,
};
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::PathBuf;

/// Learn a distribution, or a whole model, from history in which some lie.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Distribution(DistributionArguments),
    Model(ModelArguments),
}

/// Fit a distribution to samples, of which a given share may be an adversary's, anywhere.
///
/// Prints one inline TOML distribution, as a model file takes it; how well it fits goes to standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  centauri fit distribution --input latencies.csv --contamination 0.1

The input is CSV with a column `sample`; other columns are not looked at.")]
struct DistributionArguments {
    /// Samples (CSV with a column `sample`).
    #[arg(long, value_name = "SAMPLES.csv")]
    input: PathBuf,
    /// The family, by its name in model files; `auto` picks the one that explains the samples best.
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = family)]
    family: FamilyChoice,
    /// At most this share of the samples is an adversary's, from 0 to below 0.5.
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    contamination: f64,
}

#[derive(Clone, Debug)]
struct FamilyChoice(Option<FamilyName>);

fn family(text: &str) -> Result<FamilyChoice, String> {
    if text == "auto" {
        return Ok(FamilyChoice(None));
    }
    text.parse().map(|family| FamilyChoice(Some(family)))
}

/// Fill in a model's template from history in which up to `faults` replicas lie at any time.
///
/// The template is a model file in which replicas, faults and the computation are given; `support`, `prior`, `noise` and
/// `link` may be left out and are filled in: range and resolution, a fixed or a following prior (whichever predicts the last
/// part of the history better), each replica's bias and noise (of `identity`), and its probability of being on time.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  centauri fit model --template template.toml --input history.csv --output model.toml
  centauri eval --model model.toml --input today.csv --output decisions.jsonl")]
struct ModelArguments {
    /// The template (TOML).
    #[arg(long, value_name = "TEMPLATE.toml")]
    template: PathBuf,
    /// The history: readings as for `centauri eval`.
    #[arg(long, value_name = "READINGS")]
    input: PathBuf,
    /// The model file to write, or - for standard output.
    #[arg(long, value_name = "MODEL.toml")]
    output: PathBuf,
    /// What the noises' widths are adjusted to: `replicas-mean`, so that credible intervals cover the mean of the
    /// replicas' reports as often as they say; `likelihood`, not at all.
    #[arg(long, value_name = "WHAT", default_value = "replicas-mean")]
    calibration: CalibrationChoice,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum CalibrationChoice {
    ReplicasMean,
    Likelihood,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.what {
        What::Distribution(arguments) => distribution(arguments),
        What::Model(arguments) => model(arguments),
    }
}

fn distribution(arguments: &DistributionArguments) -> anyhow::Result<()> {
    let name = arguments.input.display().to_string();
    let file = File::open(&arguments.input).with_context(|| name.clone())?;
    let samples = read_samples(BufReader::new(file), &name)?;
    let options = FitOptions { contamination: arguments.contamination, family: arguments.family.0 };
    let fitted = fit_distribution(&samples, &options).with_context(|| name)?;
    tell_fit(&fitted);
    println!("{}", distribution_to_toml(&fitted.distribution));
    Ok(())
}

fn tell_fit(fitted: &Fitted) {
    eprintln!("count   {}, of which {} taken to be an adversary's", fitted.n, fitted.trimmed);
    eprintln!("family  {}", fitted.family);
    for (parameter, error) in &fitted.standard_errors {
        eprintln!("        {parameter}: standard error {error:.4e}");
    }
    eprintln!("KS      {:.4} from the samples that were kept", fitted.ks);
    eprintln!("AIC     {:.1}", fitted.aic);
    if fitted.alternatives.len() > 1 {
        eprintln!("tried   (least criterion first)");
        for other in &fitted.alternatives {
            eprintln!(
                "        {:<18} criterion {:.1}, KS {:.4}",
                other.family.to_string(),
                other.criterion,
                other.ks
            );
        }
    }
}

fn model(arguments: &ModelArguments) -> anyhow::Result<()> {
    let text = read_model_text(&arguments.template)?;
    let name = arguments.template.display().to_string();
    let (set, gaps) = parse_template(&text, &name)?;
    let directory = Directory::new(&set);
    let readings = Readings::open(&arguments.input, &directory)?;
    let histories = histories(collect_rounds(readings, &directory)?, &directory)?;
    let template = Template { set, missing: gaps.iter().map(missing).collect() };
    let calibration = match arguments.calibration {
        CalibrationChoice::ReplicasMean => Calibration::ReplicasMean,
        CalibrationChoice::Likelihood => Calibration::Likelihood,
    };
    let fitted = fit_model(&template, &histories, &ModelOptions { calibration })
        .with_context(|| arguments.input.display().to_string())?;
    tell_model(&fitted);
    let written = write_model(&fitted.set);
    // What is written must run as it is.
    centauri_engine::Fleet::compile(&fitted.set).map_err(|error| locate(&error, &text, &name))?;
    let mut output = AtomicFile::create(&arguments.output)?;
    output.write_all(written.as_bytes()).with_context(|| arguments.output.display().to_string())?;
    output.commit()?;
    Ok(())
}

fn missing(gaps: &Gaps) -> Missing {
    Missing { support: gaps.support, prior: gaps.prior, noise: gaps.noise, link: gaps.link }
}

fn histories(rounds: Rounds<'_>, directory: &Directory) -> anyhow::Result<Vec<History>> {
    let mut histories: Vec<History> = Vec::new();
    for round in rounds {
        let round = round?;
        let stream = directory.name(round.stream).unwrap_or_default();
        if histories.last().is_none_or(|history| history.stream != stream) {
            histories.push(History { stream: stream.to_owned(), rounds: Vec::new() });
        }
        if let Some(history) = histories.last_mut() {
            history.rounds.push(centauri_fit::Round { number: round.round, reports: round.reports });
        }
    }
    Ok(histories)
}

fn tell_model(fitted: &FittedModel) {
    for report in &fitted.reports {
        tell_stream(report);
    }
}

fn tell_stream(report: &StreamReport) {
    eprintln!("{}: {} rounds", report.stream, report.rounds);
    if let (Some(fixed), Some(following)) = (report.fixed_score, report.following_score) {
        let better = if following > fixed { "following" } else { "fixed" };
        eprintln!(
            "  prior: {better} (mean log-evidence a round, held back: fixed {fixed:.4}, following {following:.4})"
        );
    }
    eprintln!(
        "  widths of the noises: times {:.3} for likelihood, times {:.3} for coverage",
        report.likelihood_factor, report.calibration_factor
    );
    let (share, ratio) = report.wide;
    if share > 0.0 {
        eprintln!("  noises of two widths: a share of {share} is {ratio} times as wide");
    }
    if let Some(coverage) = &report.coverage {
        let shares: Vec<String> = coverage
            .at
            .iter()
            .zip(centauri_fit::LEVELS)
            .map(|(share, level)| format!("{level}: {share:.3}"))
            .collect();
        eprintln!("  coverage of the replicas' mean on the history: {}", shares.join(", "));
    }
}

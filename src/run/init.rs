//! Where the nets of a run start: as those of another run.

use super::config::{InitConfig, RunConfig};
use super::session::Session;
use super::trainer::Control;
use crate::error::{Error, Result};
use crate::train::{Algorithm, State};
use std::path::Path;
use toml::Value;

/// Puts the averaged nets of the run that the settings name, trained first where it is a preset, into a fresh `session`.
pub(super) fn start(session: &mut Session, control: &mut Control) -> Result<()> {
    let Some(init) = session.config.init.clone().filter(|init| init.from != "none") else { return Ok(()) };
    let folder = Path::new(&init.from);
    let source = match folder.is_dir() {
        true => Session::open_model(&session.registry, folder, &session.device)?,
        false => trained(session, &init, control)?,
    };
    fits(&source.config, &session.config)?;
    copy_nets(source.algorithm(), session.algorithm(), &init)
}

/// The preset of `init`, trained to its end on the data, with the seed and the sampler of `session`.
fn trained(session: &Session, init: &InitConfig, control: &mut Control) -> Result<Session> {
    let Session { registry, device, config, .. } = session;
    let mut settings = vec![format!("seed={}", config.seed), format!("data={}", Value::String(config.data.clone()))];
    settings.extend(init.steps.map(|steps| format!("trainer.steps={steps}")));
    let unknown = |e| Error::setting(format!("init.from: no run lies in the folder {0}, and {e}", init.from));
    let mut wanted = RunConfig::load(registry, &init.from, &settings).map_err(unknown)?;
    for key in SHARED {
        if let (Some(own), Some(theirs)) =
            (config.algorithm.settings.get(*key), wanted.algorithm.settings.get_mut(*key))
        {
            *theirs = own.clone();
        }
    }
    let folder = session.run.root().join("init");
    let mut source = match folder.exists() {
        true => Session::open(registry, &folder, device)?,
        false => Session::create(registry, wanted, device, Some(&folder))?,
    };
    if source.training.done() < source.config.trainer.steps {
        source.train(Control { stop: control.stop, progress: &mut *control.progress })?;
    }
    Ok(source)
}

/// Settings of a net that both runs must have alike.
const SHARED: &[&str] = &["sampler", "initializer", "levels", "schedule", "fold", "conditional"];

/// Whether the other run learnt the same data, by nets of the same kind.
fn fits(source: &RunConfig, own: &RunConfig) -> Result<()> {
    if source.data != own.data {
        let (theirs, ours) = (&source.data, &own.data);
        return Err(Error::setting(format!("init.from: that run was trained on {theirs}, this one learns {ours}")));
    }
    for key in SHARED {
        let of = |config: &RunConfig| config.algorithm.settings.get(*key).cloned();
        let (Some(theirs), Some(ours)) = (of(source), of(own)) else { continue };
        differs(&format!("algorithm.{key}"), &theirs, &ours)?;
    }
    Ok(())
}

/// Names the first setting that is another one there than here.
fn differs(name: &str, theirs: &Value, ours: &Value) -> Result<()> {
    let part = |name: String, theirs: Option<&Value>, ours: &Value| {
        let [theirs, ours] = [theirs, Some(ours)].map(|v| v.map(Value::to_string).unwrap_or_default());
        match theirs == ours {
            true => Ok(()),
            false => Err(Error::setting(format!("init.from: {name} is {theirs} there and {ours} here"))),
        }
    };
    match (theirs, ours) {
        (Value::Table(theirs), Value::Table(ours)) => {
            ours.iter().try_for_each(|(key, ours)| part(format!("{name}.{key}"), theirs.get(key), ours))
        }
        _ => part(name.to_string(), Some(theirs), ours),
    }
}

/// Writes the averaged parameters of every net of `source` into the net of that name, and into its average; what else has the same
/// name and shape, such as learnt variances, is taken as it is.
fn copy_nets(
    source: &dyn Algorithm,
    to: &dyn Algorithm,
    InitConfig { from: name, nets, .. }: &InitConfig,
) -> Result<()> {
    let theirs = source.state();
    let wanted = |state: &str| nets.as_ref().is_none_or(|nets| nets.iter().any(|n| state.split('.').next() == Some(n)));
    let mut copied = 0;
    for (net, state) in to.state().into_iter().filter(|(net, _)| wanted(net)) {
        let same = theirs.iter().find(|(key, _)| *key == net).map(|(_, state)| state);
        if let (State::Value(var), Some(State::Value(value))) = (&state, same)
            && var.get().shape() == value.get().shape()
        {
            var.write(&value.get().to_vec()?);
        }
        let average = format!("{}.ema", net.trim_end_matches(".ema"));
        let (State::Flat(params, var), Some((_, State::Flat(other, value)))) =
            (state, theirs.iter().find(|(key, _)| *key == average))
        else {
            continue;
        };
        if params.names() != other.names() {
            return Err(Error::setting(format!("init.from: the net {net} of {name} has other layers than this run's")));
        }
        var.write(&value.get().to_vec()?);
        copied += 1;
    }
    match copied {
        0 => Err(Error::setting(format!("init.from: {name} has no net in common with this run"))),
        _ => Ok(()),
    }
}

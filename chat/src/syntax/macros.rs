//! Macros that take any arguments, which they read as `varargs` and `kwargs`. minijinja's macros take only their own.

use std::sync::Arc;

use minijinja::machinery::Instruction;
use minijinja::machinery::ast::*;
use minijinja::value::{Kwargs, Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::expressions::{call, constant, expression, variable};
use super::functions::CATCHING;
use super::{Outcome, body, compiles_to, target};
use crate::arguments::Arguments;
use crate::value::{Kind, dict, sequence};

const VARARGS: &str = "varargs";
const KWARGS: &str = "kwargs";

/// Rebuilds a statement that declares a macro. If the macro reads further arguments, it gets parameters for them, before
/// its own. A second statement then assigns a function to its name, which sorts the arguments of a call.
pub(super) fn declared<'a>(statement: &Stmt<'a>, declared: &Spanned<Macro<'a>>) -> Outcome<Stmt<'a>> {
    let (name, span) = (declared.name, declared.span());
    let mut rebuilt = rebuilt(declared)?;
    let caught = caught_names(statement, &rebuilt);
    let parameters = caught.iter().map(|name| variable(name, span));
    rebuilt.args.splice(..0, parameters);
    let declaration = Stmt::Macro(Spanned::new(rebuilt, span));
    if caught.is_empty() {
        return Ok(declaration);
    }
    let names = caught.iter().map(|name| constant(*name, span));
    let expr = call(CATCHING, std::iter::once(variable(name, span)).chain(names), span);
    let assignment = Stmt::Set(Spanned::new(Set { target: variable(name, span), expr }, span));
    Ok(Stmt::Template(Spanned::new(Template { children: vec![declaration, assignment] }, span)))
}

/// Rebuilds a macro that takes only its own arguments.
pub(super) fn rebuilt<'a>(declared: &Macro<'a>) -> Outcome<Macro<'a>> {
    Ok(Macro {
        name: declared.name,
        args: declared.args.iter().map(target).collect::<Outcome<_>>()?,
        defaults: declared.defaults.iter().map(expression).collect::<Outcome<_>>()?,
        body: body(&declared.body)?,
    })
}

/// Returns which of the further arguments the macro in `statement` reads: those among the names that its compiled form
/// takes from outside.
fn caught_names(statement: &Stmt<'_>, declared: &Macro<'_>) -> Vec<&'static str> {
    let is_own = |name: &str| declared.args.iter().any(|arg| matches!(arg, Expr::Var(own) if own.id == name));
    let is_read = |name: &str| {
        compiles_to(
            statement,
            |instruction| matches!(instruction, Instruction::Enclose(read) if *read == name),
        )
    };
    [VARARGS, KWARGS].into_iter().filter(|name| is_read(name) && !is_own(name)).collect()
}

/// A macro that takes more arguments than its parameters.
#[derive(Debug)]
struct Catching {
    /// minijinja's macro, whose first parameters are `caught`.
    declared: Value,
    caught: Vec<Value>,
    /// The template's own parameters.
    parameters: Vec<Value>,
}

/// Returns a function that calls `declared` with its further arguments as `caught`, which are its first parameters.
pub(super) fn catching(declared: &Value, caught: &[Value]) -> Outcome<Value> {
    let parameters = declared.get_attr("arguments")?.try_iter()?.skip(caught.len()).collect();
    Ok(Value::from_object(Catching { declared: declared.clone(), caught: caught.to_vec(), parameters }))
}

impl Object for Catching {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "arguments" => Some(self.parameters.iter().cloned().collect()),
            name => self.declared.get_attr(name).ok(),
        }
    }

    /// Arguments without a name go to the parameters in turn. Those left over are `varargs`. Named ones are `kwargs` unless
    /// they belong to a parameter without a value.
    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, values: &[Value]) -> Result<Value, Error> {
        let catches = |name: &str| self.caught.iter().any(|caught| caught.as_str() == Some(name));
        let mut arguments = Arguments::new("macro", values)?;
        let (given, named) = (arguments.rest(), arguments.rest_named());
        let (given, varargs) = given.split_at(given.len().min(self.parameters.len()));
        let open = &self.parameters[given.len()..];
        let takes_caller = self.declared.get_attr("caller")?.is_true();
        let (named, kwargs): (Vec<_>, Vec<_>) = named.into_iter().partition(|(name, _)| {
            !catches(KWARGS)
                || open.iter().any(|own| own.as_str() == Some(name))
                || takes_caller && name == "caller"
        });
        let mut values = Vec::new();
        if catches(VARARGS) {
            values.push(sequence(state, Kind::Tuple, varargs.to_vec())?);
        }
        if catches(KWARGS) {
            values.push(dict(state, kwargs.into_iter().map(|(name, value)| (Value::from(name), value)))?);
        }
        values.extend_from_slice(given);
        if !catches(VARARGS) {
            values.extend_from_slice(varargs);
        }
        values.push(named.into_iter().collect::<Kwargs>().into());
        self.declared.call(state, &values)
    }
}

// The model that answers: its name, its facts and the share of its context in use.

let models = [];
let props = {};

async function showModel() {
    try {
        [{ data: models }, props] = await Promise.all([getJson("v1/models"), getJson("props")]);
        if (!models.some(({ id }) => id === settings.model))
            settings.model = models.length > 1 ? models[0].id : "";
        $("model-name").textContent = chosen().id;
    } catch (error) {
        models = [];
        $("model-name").textContent = error.status === 401 ? "API key needed" : "No server";
        $("facts").replaceChildren(h("p", {}, error.message), textButton("Try again", showModel));
        return;
    }
    showDefaults();
    fill($("facts"), models.length > 1 && choice(), facts());
    showState();
}

// Shows the model's own sampling in the empty fields of the settings.
function showDefaults() {
    const defaults = props.default_generation_settings?.params ?? {};
    for (const name of ["temperature", "top_p", "top_k", "min_p"]) {
        form.elements[name].placeholder = name in defaults ? Number(defaults[name].toPrecision(4)) : "";
    }
}

const chosen = () => models.find(({ id }) => id === settings.model) ?? models[0];

function choice() {
    const pick = ({ target }) => {
        settings.model = target.value;
        saveSettings();
        showModel();
    };
    const option = ({ id }) => h("option", { value: id, selected: id === chosen().id }, id);
    return h("label", {}, "Model", h("select", { onchange: pick }, models.map(option)));
}

function facts() {
    const { meta = {} } = chosen();
    const rows = [
        ["Context", meta.n_ctx && `${grouped(meta.n_ctx)} tokens`],
        ["Vocabulary", meta.n_vocab && `${grouped(meta.n_vocab)} tokens`],
        ["Width", meta.n_embd && grouped(meta.n_embd)],
        ["Instruction set", props.isa],
        ["Threads", props.threads],
        ["Packing", props.packing],
        ["Kernel for a token", props.kernels?.decode],
        ["Kernel for prompts", props.kernels?.prefill],
        ["Version", props.build_info],
    ];
    const known = rows.filter(([, value]) => value !== undefined && value !== null);
    return h(
        "dl",
        {},
        known.map(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]),
    );
}

function showContext(used) {
    const limit = chosen()?.meta?.n_ctx;
    $("context").hidden = !limit || !used;
    if ($("context").hidden) return;
    const [text, bar] = $("context").children;
    text.textContent = `${grouped(used)} of ${grouped(limit)} tokens`;
    bar.style.setProperty("--share", used / limit);
    $("context").setAttribute("aria-valuemax", limit);
    $("context").setAttribute("aria-valuenow", Math.min(used, limit));
    $("context").setAttribute("aria-valuetext", text.textContent);
}

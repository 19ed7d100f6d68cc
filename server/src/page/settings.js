// The panel of settings, and their short form beside the prompt.

const EXAMPLE_SCHEMA = {
    type: "object",
    properties: { title: { type: "string" }, animals: { type: "array", items: { type: "string" } } },
    required: ["title", "animals"],
    additionalProperties: false,
};

const EXAMPLE_TOOLS = [
    {
        type: "function",
        function: {
            name: "weather",
            description: "Tells the weather of a place",
            parameters: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
        },
    },
];

const form = $("settings-form");

function fillSettings() {
    for (const field of form.elements) {
        if (!(field.name in settings)) continue;
        if (field.type === "checkbox") field.checked = settings[field.name];
        else field.value = settings[field.name];
    }
    showChoices();
}

function readFields() {
    for (const field of form.elements) {
        if (field.name in settings)
            settings[field.name] = field.type === "checkbox" ? field.checked : field.value;
    }
    if (settings.format === "json_schema" && !settings.schema) {
        settings.schema = JSON.stringify(EXAMPLE_SCHEMA, null, 2);
        fillSettings();
    }
    saveSettings();
    showChoices();
}

// Marks fields that are no JSON, shows those that matter now, and lists the unusual choices as chips.
function showChoices() {
    for (const area of form.querySelectorAll("textarea.code")) {
        area.setCustomValidity(area.value.trim() ? problemOf(area.value) : "");
        area.setAttribute("aria-invalid", !area.validity.valid);
        area.title = area.validationMessage;
    }
    for (const element of form.querySelectorAll("[data-when]")) {
        element.hidden =
            element.dataset.when === "tools"
                ? !settings.tools.trim()
                : settings.format !== element.dataset.when;
    }
    const chips = [
        settings.system && "system prompt",
        settings.temperature !== "" && `temperature ${settings.temperature}`,
        settings.seed !== "" && `seed ${settings.seed}`,
        settings.max_tokens !== "" && `${settings.max_tokens} tokens`,
        settings.logprobs && "probabilities",
        { json_object: "JSON", json_schema: "JSON schema" }[settings.format],
        settings.tools.trim() && "tools",
    ];
    const chip = (text) => h("button", { type: "button", popovertarget: "settings" }, text);
    $("chips").replaceChildren(...chips.filter(Boolean).map(chip));
}

function problemOf(text) {
    try {
        JSON.parse(text);
        return "";
    } catch (error) {
        return error.message;
    }
}

form.oninput = readFields;
form.onsubmit = (event) => event.preventDefault();
form.onreset = (event) => {
    event.preventDefault();
    const { theme, model } = settings;
    Object.assign(settings, DEFAULTS, { theme, model, key: "" });
    saveSettings();
    fillSettings();
};
$("example-tool").onclick = () => {
    settings.tools = JSON.stringify(EXAMPLE_TOOLS, null, 2);
    saveSettings();
    fillSettings();
};
form.elements.key.onchange = () => showModel();

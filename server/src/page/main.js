// Keyboard, theme, and the start.

const SHORTCUTS = [
    ["Enter", "Send the message"],
    ["Shift Enter", "New line"],
    ["Esc", "Stop the answer"],
    ["↑", "Edit the last message, if the new one is empty"],
    ["Alt R", "Answer again"],
    ["Alt N", "New conversation"],
    ["Alt S", "Settings"],
    ["Alt K", "This list"],
    ["← →", "Next token, where probabilities are shown"],
];

const IDEAS = [
    "Tell me a story about the sea",
    "A dragon who is afraid of fire",
    "Why do the leaves fall in autumn?",
];

const lastOf = (role) => pathTo(shown, shown.leaf).findLast((message) => message.role === role);

const KEYS = {
    KeyN: () => openConversation(),
    KeyS: () => $("settings").togglePopover(),
    KeyK: () => showShortcuts(),
    KeyR: () => lastOf("assistant") && acts.again(lastOf("assistant")),
};

document.onkeydown = (event) => {
    if (event.altKey && !event.ctrlKey && KEYS[event.code]) {
        event.preventDefault();
        KEYS[event.code]();
    }
    if (event.key === "Escape") {
        if (running.has(shown.id)) stop(shown);
        else if (!document.querySelector("dialog[open], [popover=auto]:popover-open"))
            $("settings").hidePopover();
    }
};

$("prompt").onkeydown = (event) => {
    if (isSend(event)) {
        event.preventDefault();
        sendPrompt();
    }
    if (event.key === "ArrowUp" && !$("prompt").value && lastOf("user")) {
        event.preventDefault();
        edit(views.get(lastOf("user").id), lastOf("user"), acts);
    }
};

$("composer").onsubmit = (event) => {
    event.preventDefault();
    if (running.has(shown.id)) stop(shown);
    else sendPrompt();
};

$("scroll").onscroll = () => {
    hideChart();
    followsEnd = distanceToEnd() < 80;
    $("latest").hidden = distanceToEnd() < 200;
};
$("latest").onclick = scrollDown;

function showShortcuts() {
    const rows = SHORTCUTS.map(([keys, effect]) => [
        h(
            "dt",
            {},
            keys.split(" ").map((key) => h("kbd", {}, key)),
        ),
        h("dd", {}, effect),
    ]);
    const close = h("form", { method: "dialog" }, h("button", { class: "wide" }, "Close"));
    $("shortcuts").replaceChildren(h("h2", {}, "Keyboard"), h("dl", {}, rows), close);
    $("shortcuts").showModal();
}
$("show-shortcuts").onclick = showShortcuts;

function showTheme() {
    document.documentElement.style.colorScheme = settings.theme || "light dark";
}
$("theme").onclick = () => {
    const isDark = settings.theme
        ? settings.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
    settings.theme = isDark ? "light" : "dark";
    saveSettings();
    showTheme();
};

const idea = (text) =>
    textButton(text, () => {
        $("prompt").value = text;
        sendPrompt();
    });
$("ideas").append(...IDEAS.map(idea));

showTheme();
fillSettings();
await loadConversations().catch((error) => toast(`This browser keeps no conversations: ${error.message}`));
show(conversations.get(sessionStorage.getItem("tercet.shown")) ?? shown);
await showModel();

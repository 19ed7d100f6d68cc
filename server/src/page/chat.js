// The conversation on show.

let shown = newConversation();
const views = new Map();
let frame = 0;

// True while the newest words stay in sight. Scrolling up ends it.
let followsEnd = true;

const acts = {
    isLeaf: ({ id }) => shown.leaf === id,
    again(message) {
        if (running.has(shown.id)) return;
        // A failure without a word is no version worth keeping.
        if (message.error && !message.text) shown.messages.splice(shown.messages.indexOf(message), 1);
        ask(message.parent);
    },
    edit: (message, text) => ask(addMessage(shown, message.parent, "user", { text }).id),
    select(message) {
        const { title } = document.activeElement;
        selectBranch(shown, message);
        show(shown);
        save(shown);
        // The buttons are new. The keyboard goes on where it was, or turns round at the last version.
        const buttons = [...views.get(message.id).element.querySelectorAll(".branches button:enabled")];
        (buttons.find((button) => button.title === title) ?? buttons[0]).focus();
    },
    results(parent, results) {
        for (const result of results) parent = addMessage(shown, parent, "tool", result).id;
        ask(parent);
    },
    useKey(key) {
        settings.key = key;
        saveSettings();
        fillSettings();
        showModel();
    },
};

function ask(parent) {
    stop(shown);
    followsEnd = true;
    generate(shown, parent, changed);
    show(shown);
}

function sendPrompt() {
    const text = $("prompt").value.trim();
    if (!text || running.has(shown.id)) return;
    $("prompt").value = "";
    ask(addMessage(shown, shown.leaf, "user", { text }).id);
    save(shown);
}

// Shows a conversation, and keeps the views of its messages that are there already.
function show(conversation) {
    if (conversation !== shown) views.clear();
    shown = conversation;
    sessionStorage.setItem("tercet.shown", shown.id);
    document.title = shown.messages.length ? `${titleOf(shown)} · Tercet` : "Tercet";
    const path = pathTo(shown, shown.leaf);
    const elements = path.map((message) => {
        if (views.has(message.id)) views.get(message.id).update();
        else views.set(message.id, messageView(shown, message, acts));
        return views.get(message.id).element;
    });
    const old = [...$("messages").children];
    if (old.length !== elements.length || old.some((element, i) => element !== elements[i]))
        $("messages").replaceChildren(...elements);
    $("welcome").hidden = path.length > 0;
    if (followsEnd) scrollDown();
    showState();
    showConversations();
}

// Called when an answer has grown or ended. The page follows once in a frame.
function changed(conversation, message) {
    const isRunning = running.has(conversation.id);
    if (conversation !== shown) return isRunning || showConversations();
    if (!isRunning) {
        $("status").textContent = message.error ? "" : "The answer is complete.";
        return show(conversation);
    }
    frame ||= requestAnimationFrame(() => {
        frame = 0;
        views.get(message.id)?.update();
        if (followsEnd) scrollDown();
        showState();
    });
}

// Shows whether an answer is under way, and how much of the context is used.
function showState() {
    const isRunning = running.has(shown.id);
    const label = isRunning ? "Stop" : "Send";
    if ($("send").title !== label) {
        $("send").replaceChildren(icon(label.toLowerCase()));
        $("send").title = label;
        $("send").setAttribute("aria-label", label);
    }
    $("latest").hidden = distanceToEnd() < 200;
    const { prompt = 0, tokens = 0 } =
        pathTo(shown, shown.leaf).findLast(({ stats }) => stats?.prompt)?.stats ?? {};
    showContext(prompt + tokens);
}

const distanceToEnd = () => $("scroll").scrollHeight - $("scroll").scrollTop - $("scroll").clientHeight;

function scrollDown() {
    $("scroll").scrollTop = $("scroll").scrollHeight;
}

function openConversation(conversation = newConversation()) {
    followsEnd = true;
    show(conversation);
    if ($("sidebar").matches(":popover-open")) $("sidebar").hidePopover();
    $("prompt").focus();
}

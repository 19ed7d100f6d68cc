// What the browser keeps: conversations in IndexedDB, settings in localStorage, the key for this tab only.

const conversations = new Map();

const database = new Promise((resolve, reject) => {
    const request = indexedDB.open("tercet", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("conversations", { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
});

async function transact(mode, work) {
    const transaction = (await database).transaction("conversations", mode);
    const request = work(transaction.objectStore("conversations"));
    return new Promise((resolve, reject) => {
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
}

async function loadConversations() {
    for (const conversation of await transact("readonly", (store) => store.getAll())) {
        conversations.set(conversation.id, conversation);
    }
}

async function save(conversation) {
    conversations.set(conversation.id, conversation);
    try {
        await transact("readwrite", (store) => store.put(conversation));
    } catch (error) {
        toast(`This browser cannot keep the conversation: ${error.message}`);
    }
}

function forget(conversation) {
    conversations.delete(conversation.id);
    return transact("readwrite", (store) => store.delete(conversation.id));
}

const DEFAULTS = {
    theme: "",
    model: "",
    system: "",
    temperature: "",
    top_p: "",
    top_k: "",
    min_p: "",
    max_tokens: "",
    seed: "",
    stop: "",
    logprobs: false,
    format: "",
    schema: "",
    tools: "",
    tool_choice: "auto",
};

const settings = { ...DEFAULTS, ...readSettings(), key: sessionStorage.getItem("tercet.key") ?? "" };

function readSettings() {
    try {
        return JSON.parse(localStorage.getItem("tercet.settings"));
    } catch {
        return {};
    }
}

function saveSettings() {
    const { key, ...kept } = settings;
    localStorage.setItem("tercet.settings", JSON.stringify(kept));
    sessionStorage.setItem("tercet.key", key);
}

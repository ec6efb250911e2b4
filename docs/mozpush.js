// A web page as a device of the push service: the API of chapter 3, "API between WebApp and the User Agent", over a browser's WebSocket.
//
//     <script src="mozpush.js" data-server="https://push.example.org"></script>
//
// gives the page `navigator.mozPush.requestURL(watoken, pbk)`, `navigator.mozPush.getCurrentURL()` and
// `navigator.mozSetMessageHandler("push-notification", handler)`. Without data-server the page's own origin is asked. A page that talks
// to several services makes an object for each: `new MozPush(server)`. No dependencies. docs/push.md tells how it is used.
"use strict";

(function (global) {
    const SUBPROTOCOL = "push-notification";
    const MESSAGE_TYPE = "push-notification";
    const REPLACED = 4001; // a newer connection with the same UAToken took over
    const FIRST_PAUSE_MS = 1000;
    const LONGEST_PAUSE_MS = 60000;
    const KEEP_ALIVE_MS = 240000;
    const REMEMBERED_MAX = 1000; // identifiers of messages that were handled, by which duplicates are known

    /** What went wrong; `statusCode` is that of the service, where it answered. */
    class PushError extends Error {
        constructor(message, statusCode) {
            super(message);
            this.name = "PushError";
            this.statusCode = statusCode;
        }
    }

    /** An answer that comes later: `onsuccess` and `onerror`, with `result` and `error`; `await` works too and gives the result. */
    class PushRequest {
        #promise;

        constructor(work) {
            this.readyState = "pending";
            this.result = undefined;
            this.error = undefined;
            this.onsuccess = null;
            this.onerror = null;
            this.#promise = work.then(
                (result) => {
                    this.readyState = "done";
                    this.result = result;
                    this.#tell("success", this.onsuccess);
                    return result;
                },
                (error) => {
                    this.readyState = "done";
                    this.error = error;
                    this.#tell("error", this.onerror);
                    throw error;
                },
            );
            this.#promise.catch(() => {}); // who uses onerror needs no catch
        }

        then(fulfilled, rejected) {
            return this.#promise.then(fulfilled, rejected);
        }

        #tell(type, handler) {
            if (typeof handler !== "function") return;
            try {
                handler.call(this, { type, target: this });
            } catch (error) {
                console.error("mozpush: the handler of a request failed:", error);
            }
        }
    }

    /** What is kept between two visits: the UAToken, and the applications with their URLs. In memory where the browser keeps nothing. */
    class Memory {
        #storage;
        #key;
        #state;

        constructor(storage, key) {
            this.#storage = storage;
            this.#key = key;
            this.#state = { token: null, applications: [] };
            try {
                const state = JSON.parse(storage.getItem(key));
                if (state && Array.isArray(state.applications)) this.#state = state;
            } catch {
                // Nothing usable is there: a new device begins.
            }
        }

        get token() {
            return this.#state.token;
        }

        set token(token) {
            this.#state.token = token;
            this.#save();
        }

        /** Each with watoken, pbk, url, and whether the watoken is one of ours; the last requested is the last. */
        get applications() {
            return [...this.#state.applications];
        }

        remember(application) {
            this.#state.applications = this.#state.applications.filter(
                (other) => other.watoken !== application.watoken || other.pbk !== application.pbk,
            );
            this.#state.applications.push(application);
            this.#save();
        }

        drop(application) {
            this.#state.applications = this.#state.applications.filter((other) => other !== application);
            this.#save();
        }

        correct(application, url) {
            if (application.url === url) return;
            application.url = url;
            this.#save();
        }

        clear() {
            this.#state = { token: null, applications: [] };
            this.#save();
        }

        #save() {
            try {
                this.#storage.setItem(this.#key, JSON.stringify(this.#state));
            } catch (error) {
                console.warn("mozpush: the browser keeps nothing; the next visit will be a new device:", error);
            }
        }
    }

    /** One connection: commands go out, and their answers come in the same order; notifications come in between. */
    class Connection {
        #socket;
        #waiting = [];
        #isAlive = true;
        #timer;
        #isOver = false;
        #owner;

        constructor(url, keepAlive, owner) {
            this.#owner = owner; // { notification(connection, event), closed(connection, code) }
            this.#socket = new WebSocket(url, SUBPROTOCOL);
            this.opened = new Promise((resolve, reject) => {
                this.#socket.onopen = () => resolve();
                this.#waiting.push({ reject });
            });
            this.opened.then(() => this.#waiting.shift()).catch(() => {});
            this.#socket.onmessage = (event) => this.#receive(event.data);
            this.#socket.onclose = (event) => this.#end(event.code);
            if (keepAlive > 0) this.#timer = setInterval(() => this.#beat(), keepAlive);
        }

        /** The answer to a command; an error when the service refuses it or the connection ends before. */
        ask(messageType, data) {
            return new Promise((resolve, reject) => {
                if (this.#isOver) return reject(new PushError("the connection to the push service is closed"));
                this.#waiting.push({ resolve, reject });
                this.#socket.send(JSON.stringify(data === undefined ? { messageType } : { messageType, data }));
            });
        }

        acknowledge(messageId) {
            if (!this.#isOver) this.#socket.send(JSON.stringify({ messageType: "ack", messageId }));
        }

        close() {
            this.#socket.close(1000);
        }

        #receive(text) {
            this.#isAlive = true;
            if (text === "PONG") return;
            const event = JSON.parse(text);
            if (event.messageType === "notification") return this.#owner.notification(this, event);
            const command = this.#waiting.shift();
            if (!command) return;
            if (event.statusCode === 200) {
                command.resolve(event);
            } else {
                command.reject(new PushError(`the push service refused: ${event.statusCode} ${event.reason}`, event.statusCode));
            }
        }

        /** A connection that died without a word is noticed: what we say must be answered until the next beat. */
        #beat() {
            if (this.#socket.readyState !== WebSocket.OPEN) return;
            if (!this.#isAlive) {
                this.#socket.onclose = null;
                this.#socket.close();
                return this.#end(1006);
            }
            this.#isAlive = false;
            this.#socket.send("PING");
        }

        #end(code) {
            this.#isOver = true;
            clearInterval(this.#timer);
            for (const command of this.#waiting.splice(0)) {
                command.reject(new PushError(`the connection to the push service ended (code ${code})`));
            }
            this.#owner.closed(this, code);
        }
    }

    /** A device of one push service. `options`: `storage` (default localStorage), `keepAlive` in milliseconds (0: none). */
    class MozPush {
        #server;
        #memory;
        #keepAlive;
        #connection = null; // the registered one
        #connecting = null; // a promise of it
        #handler = null;
        #held = new Map(); // notifications that came while no handler was set
        #atWork = new Set(); // identifiers of those that the handler has
        #handled = new Set(); // identifiers of those that it is done with
        #failures = 0;
        #timer;
        #isReplaced = false;

        constructor(server, options = {}) {
            this.#server = String(server).replace(/\/+$/, "");
            if (!/^https?:\/\/[^/?#]+/.test(this.#server)) {
                throw new TypeError(`mozpush: "${server}" is no push service: give its URL, like https://push.example.org`);
            }
            this.#memory = new Memory(options.storage ?? defaultStorage(), `mozpush ${this.#server}`);
            this.#keepAlive = options.keepAlive ?? KEEP_ALIVE_MS;
            /** Called with "connected", "disconnected", "forgotten", or "replaced" (by another page, which gets the messages now). */
            this.onstate = null;
            global.addEventListener?.("online", () => this.#reconnect());
        }

        /**
         * Registers an application; the result is `{ url, watoken, pbk }`, and `url` is for the application server.
         *
         * `watoken` may be left out: then one is made, and used again for the same key. `pbk` is the base64 of the application server's
         * public key; the PEM text itself is taken too. `requestURL({ watoken, pbk })` is the same.
         */
        requestURL(watoken, pbk) {
            const pair = watoken !== null && typeof watoken === "object" ? watoken : { watoken, pbk };
            return new PushRequest(this.#requestURL(pair.watoken, pair.pbk));
        }

        /** What requestURL gave last, also on an earlier visit; nothing is asked of the service. */
        getCurrentURL() {
            const application = this.#memory.applications.at(-1);
            return new PushRequest(
                application
                    ? Promise.resolve(described(application))
                    : Promise.reject(new PushError("no URL was requested yet: call requestURL first")),
            );
        }

        /**
         * Sets what gets the notifications: `handler({ id, message, timestamp, priority, messageId, url, .. })`.
         *
         * A notification is acknowledged when the handler has returned, or when the promise that it returned is fulfilled. One whose
         * handler failed comes again. The same one does not reach the handler twice on a page. Those that come while there is no handler
         * wait for one.
         */
        setMessageHandler(type, handler) {
            if (type !== MESSAGE_TYPE) throw new TypeError(`mozpush: there are no messages of type "${type}", only "${MESSAGE_TYPE}"`);
            this.#handler = handler;
            if (!handler) return;
            const held = [...this.#held.values()];
            this.#held.clear();
            for (const notification of held) this.#handle(notification);
            this.#reconnect();
        }

        /** The service forgets this device with all its applications and pending messages, and so do we. */
        forget() {
            return new PushRequest(this.#forget());
        }

        async #requestURL(watoken, pbk) {
            if (typeof pbk !== "string" || !pbk.trim()) {
                throw new PushError("pbk must be the base64 of the application server's public key");
            }
            pbk = pbk.includes("-----BEGIN") ? btoa(pbk) : pbk.trim();
            const isOurs = watoken === undefined || watoken === null;
            if (isOurs) {
                const known = this.#memory.applications.findLast((application) => application.isOurs && application.pbk === pbk);
                watoken = known?.watoken ?? randomToken();
            }
            this.#isReplaced = false;
            const connection = await this.#connected();
            const answer = await connection.ask("registerWA", { uatoken: this.#memory.token, watoken, pbkbase64: pbk });
            const application = { watoken, pbk, url: answer.url, isOurs };
            this.#memory.remember(application);
            return described(application);
        }

        async #forget() {
            if (this.#memory.token) {
                const connection = await this.#connected();
                await connection.ask("unregisterUA");
                this.#connection = null; // the service closes it
            }
            this.#memory.clear();
            this.#held.clear();
            this.#state("forgotten");
        }

        // The connection

        #connected() {
            if (this.#connection) return Promise.resolve(this.#connection);
            clearTimeout(this.#timer);
            this.#connecting ??= this.#connect().then(
                (connection) => {
                    this.#connecting = null;
                    return connection;
                },
                (error) => {
                    this.#connecting = null;
                    this.#reconnectLater();
                    throw error;
                },
            );
            return this.#connecting;
        }

        async #connect() {
            const isNew = !this.#memory.token;
            if (isNew) this.#memory.token = await this.#requestToken();
            try {
                return await this.#register();
            } catch (error) {
                if (isNew || error.statusCode !== 401) throw error;
                // The service does not know this device any longer: another one begins, with the same applications.
                this.#memory.token = await this.#requestToken();
                return await this.#register();
            }
        }

        async #requestToken() {
            const answer = await fetch(`${this.#server}/token`, { cache: "no-store" }).catch((error) => {
                throw new PushError(`cannot reach the push service ${this.#server}: ${error.message}`);
            });
            if (!answer.ok) throw new PushError(`the push service gave no token: ${answer.status}`, answer.status);
            return (await answer.text()).trim();
        }

        async #register() {
            const connection = new Connection(`${this.#server.replace(/^http/, "ws")}/`, this.#keepAlive, {
                notification: (from, event) => this.#receive(from, event),
                closed: (which, code) => this.#closed(which, code),
            });
            const token = this.#memory.token;
            try {
                await connection.opened;
                await connection.ask("registerUA", { uatoken: token });
                this.#connection = connection;
                for (const application of this.#memory.applications) await this.#registerAgain(connection, application);
            } catch (error) {
                if (this.#connection === connection) this.#connection = null;
                connection.close();
                throw error;
            }
            this.#failures = 0;
            this.#state("connected");
            return connection;
        }

        async #registerAgain(connection, application) {
            const { watoken, pbk } = application;
            try {
                const data = { uatoken: this.#memory.token, watoken, pbkbase64: pbk };
                const answer = await connection.ask("registerWA", data);
                this.#memory.correct(application, answer.url);
            } catch (error) {
                if (error.statusCode !== 400 && error.statusCode !== 409) throw error;
                console.warn("mozpush: the service no longer takes an application, which is forgotten:", error);
                this.#memory.drop(application);
            }
        }

        #closed(connection, code) {
            if (this.#connection !== connection) return;
            this.#connection = null;
            this.#held.clear(); // the service sends them again
            this.#isReplaced = code === REPLACED;
            this.#state(this.#isReplaced ? "replaced" : "disconnected");
            this.#reconnectLater();
        }

        /** Connects when there is something to wait for. A page that was replaced stays quiet until it requests a URL. */
        #reconnect() {
            if (this.#isReplaced || this.#connection || !this.#memory.applications.length) return;
            this.#connected().catch(() => {}); // tried again later
        }

        #reconnectLater() {
            if (this.#isReplaced || !this.#memory.applications.length) return;
            // Not all at once: devices that lost a service together come back one by one.
            const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures++) * (0.5 + Math.random() / 2);
            clearTimeout(this.#timer);
            this.#timer = setTimeout(() => this.#reconnect(), pause);
        }

        #state(state) {
            if (typeof this.onstate === "function") this.onstate(state);
        }

        // Messages

        #receive(connection, notification) {
            const { messageId } = notification;
            if (this.#handled.has(messageId)) return connection.acknowledge(messageId);
            if (this.#atWork.has(messageId)) return;
            if (this.#handler) this.#handle(notification);
            else this.#held.set(messageId, notification);
        }

        async #handle(notification) {
            const { messageId } = notification;
            this.#atWork.add(messageId);
            try {
                await this.#handler(notification);
                this.#handled.add(messageId);
                if (this.#handled.size > REMEMBERED_MAX) this.#handled.delete(this.#handled.values().next().value);
                this.#connection?.acknowledge(messageId);
            } catch (error) {
                console.error("mozpush: the message handler failed; the message will come again:", error);
            } finally {
                this.#atWork.delete(messageId);
            }
        }
    }

    const described = ({ url, watoken, pbk }) => ({ url, watoken, pbk });

    function randomToken() {
        const bytes = global.crypto.getRandomValues(new Uint8Array(16));
        return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    }

    function defaultStorage() {
        try {
            return global.localStorage;
        } catch {
            return { getItem: () => null, setItem: () => {} }; // the browser forbids it
        }
    }

    global.MozPush = MozPush;
    const server = global.document?.currentScript?.dataset.server ?? global.location?.origin;
    if (!global.navigator || global.navigator.mozPush || !/^https?:/.test(server ?? "")) return;
    const push = new MozPush(server);
    global.navigator.mozPush = push;
    global.navigator.mozSetMessageHandler = (type, handler) => push.setMessageHandler(type, handler);
})(globalThis);

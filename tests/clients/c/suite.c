// The official C client (libnats) against a server binary: one function per behaviour.
//
// Usage: suite SERVER_BINARY [server flags...]
//
// Every behaviour runs in a process of its own with a server of its own on a free port of 127.0.0.1, so a server that
// dies, or a client that hangs, fails one behaviour and not the rest; the kernel ends a server whose behaviour has
// ended. Prints `ok` or `FAIL` per behaviour and a total; exits 1 if anything failed. The suites of the other languages
// beside this one have the same behaviours under the same names.

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    BEHAVIOUR_SECONDS_MAX = 30,
    WAIT_MS_MAX = 10000,
    QUIET_MS = 100,
    FLOW_MESSAGES = 100000,
    MIB = 1024 * 1024,
    COMMAND_WORDS_MAX = 64,
};

static int server_words;
static char **server_command;
static char directory[64];

// ---- Judging ----------------------------------------------------------------------------------------------------------

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    fflush(stdout);
    _exit(1);
}

#define CHECK(holds, ...)                                                                                              \
    do {                                                                                                               \
        if (!(holds)) fail(__VA_ARGS__);                                                                               \
    } while (0)

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        natsStatus status_ = (call);                                                                                   \
        if (status_ != NATS_OK) fail("line %d: %s: %s", __LINE__, #call, natsStatus_GetText(status_));                 \
    } while (0)

static void pause_ms(long ms) {
    struct timespec time = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

// Waits until the condition holds; fails the behaviour when it does not in time.
#define EVENTUALLY(holds, what)                                                                                        \
    do {                                                                                                               \
        int64_t deadline_ = nats_Now() + WAIT_MS_MAX;                                                                  \
        while (!(holds)) {                                                                                             \
            CHECK(nats_Now() < deadline_, "not within %d ms: %s", WAIT_MS_MAX, what);                                  \
            pause_ms(2);                                                                                               \
        }                                                                                                              \
    } while (0)

// ---- The server -------------------------------------------------------------------------------------------------------

struct server {
    const char *flags[8];
    pid_t process;
    int port;
    char url[64];
};

static bool alive(struct server *server) {
    if (server->process > 0 && waitpid(server->process, NULL, WNOHANG) == server->process) server->process = 0;
    return server->process > 0;
}

// The file may be there and not yet be written: then there is no port yet.
static int port_told(pid_t process) {
    char suffix[32], path[512], text[512];
    snprintf(suffix, sizeof suffix, "_%d.ports", process);
    int port = -1;
    DIR *listing = opendir(directory);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        size_t length = strlen(entry->d_name), tail = strlen(suffix);
        if (length < tail || strcmp(entry->d_name + length - tail, suffix) != 0) continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        FILE *file = fopen(path, "r");
        size_t read = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
        text[read] = '\0';
        if (file != NULL) fclose(file);
        char *url = strstr(text, "nats://");
        char *colon = url == NULL ? NULL : strrchr(url, ':');
        char *end = NULL;
        long number = colon == NULL ? 0 : strtol(colon + 1, &end, 10);
        if (end != NULL && *end == '"') port = (int)number;
    }
    closedir(listing);
    return port;
}

static void start(struct server *server) {
    char port[16];
    snprintf(port, sizeof port, "%d", server->port == 0 ? -1 : server->port);
    char *words[COMMAND_WORDS_MAX];
    int count = 0;
    for (int i = 0; i < server_words; i++) words[count++] = server_command[i];
    for (int i = 0; server->flags[i] != NULL; i++) words[count++] = (char *)server->flags[i];
    char *where[] = {"-a", "127.0.0.1", "-p", port, "--ports_file_dir", directory, NULL};
    for (int i = 0; i < 7; i++) words[count++] = where[i];

    server->process = fork();
    if (server->process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char path[128];
        snprintf(path, sizeof path, "%s/log", directory);
        int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(open("/dev/null", O_RDONLY), 0);
        dup2(log, 1);
        dup2(log, 2);
        execvp(words[0], words);
        _exit(127);
    }
    int64_t deadline = nats_Now() + WAIT_MS_MAX;
    do {
        CHECK(alive(server), "the server ended at start");
        CHECK(nats_Now() < deadline, "no ports file after %d ms", WAIT_MS_MAX);
        pause_ms(5);
        server->port = port_told(server->process);
    } while (server->port < 0);
    snprintf(server->url, sizeof server->url, "nats://127.0.0.1:%d", server->port);
}

static void kill_server(struct server *server) {
    kill(server->process, SIGKILL);
    waitpid(server->process, NULL, 0);
    server->process = 0;
}

// ---- Connections and messages -----------------------------------------------------------------------------------------

static natsOptions *options_for(struct server *server) {
    natsOptions *options;
    OK(natsOptions_Create(&options));
    OK(natsOptions_SetURL(options, server->url));
    OK(natsOptions_SetAllowReconnect(options, false));
    OK(natsOptions_SetTimeout(options, 5000));
    return options;
}

static natsConnection *connect_with(natsOptions *options) {
    natsConnection *connection;
    OK(natsConnection_Connect(&connection, options));
    natsOptions_Destroy(options);
    return connection;
}

static natsConnection *connect_to(struct server *server) { return connect_with(options_for(server)); }

static natsSubscription *subscribe(natsConnection *connection, const char *subject) {
    natsSubscription *subscription;
    OK(natsConnection_SubscribeSync(&subscription, connection, subject));
    OK(natsSubscription_SetPendingLimits(subscription, -1, -1));
    return subscription;
}

static natsSubscription *join(natsConnection *connection, const char *subject, const char *group) {
    natsSubscription *subscription;
    OK(natsConnection_QueueSubscribeSync(&subscription, connection, subject, group));
    OK(natsSubscription_SetPendingLimits(subscription, -1, -1));
    return subscription;
}

static natsMsg *next(natsSubscription *subscription) {
    natsMsg *message;
    OK(natsSubscription_NextMsg(&message, subscription, WAIT_MS_MAX));
    return message;
}

static void next_is(natsSubscription *subscription, const char *wanted, const char *what) {
    natsMsg *message = next(subscription);
    const char *seen = natsMsg_GetData(message);
    int length = natsMsg_GetDataLength(message);
    CHECK(length == (int)strlen(wanted) && memcmp(seen, wanted, (size_t)length) == 0,
          "%s: wanted `%s`, saw `%.*s`", what, wanted, length, seen);
    natsMsg_Destroy(message);
}

static void nothing_more(natsSubscription *subscription, const char *what) {
    natsMsg *message = NULL;
    natsStatus status = natsSubscription_NextMsg(&message, subscription, QUIET_MS);
    CHECK(status != NATS_OK, "%s: one message too many, on %s", what, natsMsg_GetSubject(message));
}

static const char *number_text(int number) {
    static char text[16];
    snprintf(text, sizeof text, "%d", number);
    return text;
}

static void publish_numbers(natsConnection *connection, const char *subject, int from, int to) {
    for (int number = from; number < to; number++)
        OK(natsConnection_PublishString(connection, subject, number_text(number)));
}

static void numbers_follow(natsSubscription *subscription, int from, int to, const char *what) {
    for (int number = from; number < to; number++) next_is(subscription, number_text(number), what);
}

static void nobody_answers(natsConnection *connection, const char *subject) {
    natsMsg *reply = NULL;
    int64_t started = nats_Now();
    natsStatus status = natsConnection_RequestString(&reply, connection, subject, "?", 5000);
    CHECK(status == NATS_NO_RESPONDERS, "a request to nobody: %s", natsStatus_GetText(status));
    CHECK(nats_Now() - started < 2000, "the answer comes only at the time-out");
}

static void round_trip(natsConnection *connection) {
    natsSubscription *own = subscribe(connection, "round.trip");
    OK(natsConnection_PublishString(connection, "round.trip", "there and back"));
    next_is(own, "there and back", "a round trip");
}

// ---- Behaviours -------------------------------------------------------------------------------------------------------

static void pub_sub(struct server *server) {
    start(server);
    natsSubscription *subscriptions[4];
    for (int i = 0; i < 4; i++) {
        natsConnection *connection = connect_to(server);
        subscriptions[i] = subscribe(connection, "greet.all");
        OK(natsConnection_Flush(connection));
    }
    natsConnection *publishers[2] = {connect_to(server), connect_to(server)};
    for (int i = 0; i < 2; i++) {
        publish_numbers(publishers[i], "greet.all", i * 50, i * 50 + 50);
        OK(natsConnection_PublishString(publishers[i], "greet.nobody", "unheard"));
        OK(natsConnection_Flush(publishers[i]));
    }
    for (int i = 0; i < 4; i++) {
        int seen[100] = {0};
        for (int j = 0; j < 100; j++) seen[atoi(natsMsg_GetData(next(subscriptions[i])))]++;
        for (int j = 0; j < 100; j++) CHECK(seen[j] == 1, "message %d came %d times", j, seen[j]);
        nothing_more(subscriptions[i], "a subscription");
    }
    // A connection hears itself unless it asked not to.
    natsSubscription *own = subscribe(publishers[0], "echo");
    OK(natsConnection_PublishString(publishers[0], "echo", ""));
    next_is(own, "", "an empty message to oneself");
    natsOptions *options = options_for(server);
    OK(natsOptions_SetNoEcho(options, true));
    natsConnection *deaf = connect_with(options);
    own = subscribe(deaf, "echo");
    OK(natsConnection_PublishString(deaf, "echo", "mine"));
    OK(natsConnection_Flush(deaf));
    nothing_more(own, "a connection without echo");
}

static void wildcards(struct server *server) {
    start(server);
    natsConnection *subscriber = connect_to(server), *publisher = connect_to(server);
    static const char *everything[] = {"a", "a.b", "a.b.c", "a.x.c", "a.b.c.d", "b", NULL};
    static const struct {
        const char *pattern, *subjects[7];
    } wanted[] = {
        {"a.*", {"a.b"}},
        {"a.*.c", {"a.b.c", "a.x.c"}},
        {"*.b.*", {"a.b.c"}},
        {"a.>", {"a.b", "a.b.c", "a.x.c", "a.b.c.d"}},
        {">", {"a", "a.b", "a.b.c", "a.x.c", "a.b.c.d", "b"}},
        {"*", {"a", "b"}},
        {"a.b", {"a.b"}},
    };
    natsSubscription *subscriptions[7];
    for (int i = 0; i < 7; i++) subscriptions[i] = subscribe(subscriber, wanted[i].pattern);
    OK(natsConnection_Flush(subscriber));
    for (int i = 0; everything[i] != NULL; i++) OK(natsConnection_PublishString(publisher, everything[i], ""));
    OK(natsConnection_Flush(publisher));
    for (int i = 0; i < 7; i++) {
        for (int j = 0; wanted[i].subjects[j] != NULL; j++) {
            const char *seen = natsMsg_GetSubject(next(subscriptions[i]));
            CHECK(strcmp(seen, wanted[i].subjects[j]) == 0, "%s: wanted %s, saw %s", wanted[i].pattern,
                  wanted[i].subjects[j], seen);
        }
        nothing_more(subscriptions[i], wanted[i].pattern);
    }
}

static void queue_groups(struct server *server) {
    start(server);
    natsSubscription *members[7];
    int count = 0;
    for (int i = 0; i < 6; i++) {
        natsConnection *connection = connect_to(server);
        members[count++] = join(connection, "work.*", "crew");
        if (i == 0) members[count++] = join(connection, "work.*", "crew");
        OK(natsConnection_Flush(connection));
    }
    natsConnection *beside = connect_to(server);
    natsSubscription *others[2] = {subscribe(beside, "work.>"), join(beside, "work.now", "second-crew")};
    OK(natsConnection_Flush(beside));
    for (int batch = 0; batch < 3; batch++) {
        natsConnection *publisher = connect_to(server);
        publish_numbers(publisher, "work.now", batch * 1000, batch * 1000 + 1000);
        OK(natsConnection_Flush(publisher));
    }
    for (int i = 0; i < 2; i++) {
        int seen[3000] = {0};
        for (int j = 0; j < 3000; j++) seen[atoi(natsMsg_GetData(next(others[i])))]++;
        for (int j = 0; j < 3000; j++) CHECK(seen[j] == 1, "message %d came %d times beside the group", j, seen[j]);
    }
    int seen[3000] = {0};
    for (int i = 0; i < count; i++) {
        int share = 0;
        natsMsg *message;
        for (; natsSubscription_NextMsg(&message, members[i], QUIET_MS) == NATS_OK; share++) {
            seen[atoi(natsMsg_GetData(message))]++;
            natsMsg_Destroy(message);
        }
        CHECK(share > 0, "member %d gets no share", i);
    }
    for (int j = 0; j < 3000; j++) CHECK(seen[j] == 1, "message %d came %d times to the group", j, seen[j]);
}

static void answer(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *closure) {
    (void)subscription, (void)closure;
    char reply[64];
    int length = snprintf(reply, sizeof reply, "re:%.*s", natsMsg_GetDataLength(message), natsMsg_GetData(message));
    natsConnection_Publish(connection, natsMsg_GetReply(message), reply, length);
    natsMsg_Destroy(message);
}

static void request_reply(struct server *server) {
    start(server);
    natsConnection *service = connect_to(server), *asker = connect_to(server);
    natsSubscription *subscription;
    OK(natsConnection_Subscribe(&subscription, service, "echo", answer, NULL));
    OK(natsConnection_Flush(service));
    static const char *words[] = {"one", "two", ""};
    for (int i = 0; i < 3; i++) {
        natsMsg *reply;
        OK(natsConnection_RequestString(&reply, asker, "echo", words[i], 5000));
        const char *seen = natsMsg_GetData(reply);
        CHECK(strncmp(seen, "re:", 3) == 0 && strcmp(seen + 3, words[i]) == 0, "the reply to `%s`: `%s`", words[i], seen);
        natsMsg_Destroy(reply);
    }
}

static void *ask_100(void *connection) {
    for (int number = 0; number < 100; number++) {
        natsMsg *reply;
        char request[16];
        snprintf(request, sizeof request, "%d", number);
        OK(natsConnection_RequestString(&reply, connection, "echo", request, 15000));
        CHECK(strcmp(natsMsg_GetData(reply) + 3, request) == 0, "the reply to %s: %s", request, natsMsg_GetData(reply));
        natsMsg_Destroy(reply);
    }
    return NULL;
}

static void requests_1000_at_once(struct server *server) {
    start(server);
    for (int i = 0; i < 3; i++) {
        natsConnection *service = connect_to(server);
        natsSubscription *subscription;
        OK(natsConnection_QueueSubscribe(&subscription, service, "echo", "echoes", answer, NULL));
        OK(natsConnection_Flush(service));
    }
    // This client's request call blocks: 1,000 at once are sent by hand, each with an inbox of its own.
    natsConnection *askers[2] = {connect_to(server), connect_to(server)};
    natsSubscription *inboxes[2] = {subscribe(askers[0], "inbox.0.*"), subscribe(askers[1], "inbox.1.*")};
    for (int number = 0; number < 1000; number++) {
        char inbox[32];
        snprintf(inbox, sizeof inbox, "inbox.%d.%d", number % 2, number);
        OK(natsConnection_PublishRequestString(askers[number % 2], "echo", inbox, number_text(number)));
    }
    bool seen[1000] = {false};
    for (int i = 0; i < 1000; i++) {
        natsMsg *reply = next(inboxes[i % 2]);
        const char *inbox = strrchr(natsMsg_GetSubject(reply), '.') + 1;
        CHECK(strcmp(natsMsg_GetData(reply) + 3, inbox) == 0, "inbox %s got %s", inbox, natsMsg_GetData(reply));
        CHECK(!seen[atoi(inbox)], "two replies to %s", inbox);
        seen[atoi(inbox)] = true;
        natsMsg_Destroy(reply);
    }
    pthread_t threads[10];
    for (int i = 0; i < 10; i++) pthread_create(&threads[i], NULL, ask_100, askers[i % 2]);
    for (int i = 0; i < 10; i++) pthread_join(threads[i], NULL);
}

static void no_responders(struct server *server) {
    start(server);
    natsConnection *asker = connect_to(server), *service = connect_to(server);
    nobody_answers(asker, "nobody.home");
    // Interest that has gone is no interest, also when it was on another connection.
    natsSubscription *subscription = subscribe(service, "nobody.home");
    OK(natsConnection_Flush(service));
    OK(natsSubscription_Unsubscribe(subscription));
    OK(natsConnection_Flush(service));
    nobody_answers(asker, "nobody.home");
}

static void header_is(natsMsg *message, const char *key, const char *wanted) {
    const char *value = NULL;
    OK(natsMsgHeader_Get(message, key, &value));
    CHECK(strcmp(value, wanted) == 0, "header %s: wanted `%s`, saw `%s`", key, wanted, value);
}

static void headers(struct server *server) {
    start(server);
    natsConnection *subscriber = connect_to(server), *publisher = connect_to(server);
    natsSubscription *subscription = subscribe(subscriber, "with.headers");
    OK(natsConnection_Flush(subscriber));
    natsMsg *message;
    OK(natsMsg_Create(&message, "with.headers", NULL, "body", 4));
    OK(natsMsgHeader_Set(message, "Trace-Id", "4711"));
    OK(natsMsgHeader_Add(message, "Colour", "blue: and: green"));
    OK(natsMsgHeader_Add(message, "Colour", "red"));
    OK(natsConnection_PublishMsg(publisher, message));
    OK(natsMsg_Create(&message, "with.headers", NULL, "", 0));
    OK(natsMsgHeader_Set(message, "Only", "headers"));
    OK(natsConnection_PublishMsg(publisher, message));
    OK(natsConnection_PublishString(publisher, "with.headers", "plain"));

    message = next(subscription);
    header_is(message, "Trace-Id", "4711");
    const char **values;
    int count;
    OK(natsMsgHeader_Values(message, "Colour", &values, &count));
    CHECK(count == 2 && strcmp(values[0], "blue: and: green") == 0 && strcmp(values[1], "red") == 0,
          "a header with two values has %d, the first `%s`", count, values[0]);
    CHECK(strcmp(natsMsg_GetData(message), "body") == 0, "the body beside headers");
    message = next(subscription);
    header_is(message, "Only", "headers");
    CHECK(natsMsg_GetDataLength(message) == 0, "no body beside headers");
    next_is(subscription, "plain", "no headers");
}

static void auto_unsubscribe(struct server *server) {
    start(server);
    natsConnection *subscriber = connect_to(server), *publisher = connect_to(server);
    natsSubscription *subscription = subscribe(subscriber, "limited");
    OK(natsSubscription_AutoUnsubscribe(subscription, 5));
    OK(natsConnection_Flush(subscriber));
    publish_numbers(publisher, "limited", 0, 10);
    OK(natsConnection_Flush(publisher));
    numbers_follow(subscription, 0, 5, "the first five");
    OK(natsConnection_Flush(subscriber));
    nothing_more(subscription, "a limited subscription");
    // The server has forgotten the subscription.
    nobody_answers(publisher, "limited");
}

static int handled;

static void handle_slowly(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *closure) {
    (void)connection, (void)subscription, (void)closure;
    if (atoi(natsMsg_GetData(message)) == handled) handled++;
    if (handled % 100 == 0) pause_ms(10);
    natsMsg_Destroy(message);
}

static void drain(struct server *server) {
    start(server);
    natsConnection *subscriber = connect_to(server), *publisher = connect_to(server), *reader = connect_to(server);
    natsSubscription *subscription;
    OK(natsConnection_Subscribe(&subscription, subscriber, "stream", handle_slowly, NULL));
    OK(natsConnection_Flush(subscriber));
    publish_numbers(publisher, "stream", 0, 2000);
    OK(natsConnection_Flush(publisher));
    OK(natsConnection_Drain(subscriber));
    EVENTUALLY(natsConnection_IsClosed(subscriber), "a drained connection closes");
    CHECK(handled == 2000, "%d of 2000 messages were handled in order", handled);
    // What is published just before a drain is delivered too.
    subscription = subscribe(reader, "last.words");
    OK(natsConnection_Flush(reader));
    publish_numbers(publisher, "last.words", 0, 500);
    OK(natsConnection_Drain(publisher));
    numbers_follow(subscription, 0, 500, "the last words");
}

struct events {
    volatile int disconnected, reconnected, lame_duck;
};

static void count_event(natsConnection *connection, void *counter) {
    (void)connection;
    __atomic_add_fetch((volatile int *)counter, 1, __ATOMIC_SEQ_CST);
}

static natsConnection *connect_to_stay(struct server *server, struct events *events) {
    natsOptions *options = options_for(server);
    OK(natsOptions_SetAllowReconnect(options, true));
    OK(natsOptions_SetMaxReconnect(options, -1));
    OK(natsOptions_SetReconnectWait(options, 50));
    OK(natsOptions_SetReconnectJitter(options, 1, 1));
    OK(natsOptions_SetDisconnectedCB(options, count_event, (void *)&events->disconnected));
    OK(natsOptions_SetReconnectedCB(options, count_event, (void *)&events->reconnected));
    OK(natsOptions_SetLameDuckModeCB(options, count_event, (void *)&events->lame_duck));
    return connect_with(options);
}

static void reconnect(struct server *server) {
    start(server);
    struct events events[2] = {0};
    natsConnection *subscriber = connect_to_stay(server, &events[0]), *publisher = connect_to_stay(server, &events[1]);
    natsSubscription *subscriptions[2] = {subscribe(subscriber, "news.*"), join(subscriber, "news.local", "desk")};
    OK(natsConnection_Flush(subscriber));
    OK(natsConnection_PublishString(publisher, "news.local", "before"));
    for (int i = 0; i < 2; i++) next_is(subscriptions[i], "before", "before the restart");
    kill_server(server);
    EVENTUALLY(events[0].disconnected > 0 && events[1].disconnected > 0, "the loss is noticed");
    start(server);
    EVENTUALLY(events[0].reconnected > 0 && events[1].reconnected > 0, "both are back");
    OK(natsConnection_Flush(subscriber));
    publish_numbers(publisher, "news.local", 0, 100);
    for (int i = 0; i < 2; i++) numbers_follow(subscriptions[i], 0, 100, "after the restart");
}

// Null arguments mean: without.
static natsStatus knock(struct server *server, const char *user, const char *password, const char *token) {
    natsOptions *options = options_for(server);
    if (user != NULL) OK(natsOptions_SetUserInfo(options, user, password));
    if (token != NULL) OK(natsOptions_SetToken(options, token));
    natsConnection *connection = NULL;
    natsStatus status = natsConnection_Connect(&connection, options);
    natsOptions_Destroy(options);
    if (status == NATS_OK) round_trip(connection);
    return status;
}

static void user_and_password(struct server *server) {
    server->flags[0] = "--user", server->flags[1] = "alice", server->flags[2] = "--pass", server->flags[3] = "s3cret";
    start(server);
    OK(knock(server, "alice", "s3cret", NULL));
    CHECK(knock(server, "alice", "wrong", NULL) == NATS_CONNECTION_AUTH_FAILED, "a wrong password");
    CHECK(knock(server, "bob", "s3cret", NULL) == NATS_CONNECTION_AUTH_FAILED, "a wrong user");
    CHECK(knock(server, NULL, NULL, "s3cret") == NATS_CONNECTION_AUTH_FAILED, "a token instead");
    CHECK(knock(server, NULL, NULL, NULL) == NATS_CONNECTION_AUTH_FAILED, "no credentials");
}

static void token(struct server *server) {
    server->flags[0] = "--auth", server->flags[1] = "t0ken";
    start(server);
    OK(knock(server, NULL, NULL, "t0ken"));
    CHECK(knock(server, NULL, NULL, "wrong") == NATS_CONNECTION_AUTH_FAILED, "a wrong token");
    CHECK(knock(server, NULL, NULL, NULL) == NATS_CONNECTION_AUTH_FAILED, "no token");
}

static char block[MIB + 1];

static void large_payload(struct server *server) {
    start(server);
    natsConnection *subscriber = connect_to(server), *publisher = connect_to(server);
    natsSubscription *subscription = subscribe(subscriber, "large");
    OK(natsConnection_Flush(subscriber));
    for (int number = 0; number < 8; number++) {
        for (int at = 0; at < MIB; at++) block[at] = (char)((at % 251) ^ number);
        OK(natsConnection_Publish(publisher, "large", block, MIB));
    }
    OK(natsConnection_Flush(publisher));
    for (int number = 0; number < 8; number++) {
        natsMsg *message = next(subscription);
        CHECK(natsMsg_GetDataLength(message) == MIB, "payload %d has %d bytes", number, natsMsg_GetDataLength(message));
        const char *data = natsMsg_GetData(message);
        for (int at = 0; at < MIB; at++)
            CHECK(data[at] == (char)((at % 251) ^ number), "payload %d differs at byte %d", number, at);
        natsMsg_Destroy(message);
    }
}

static void over_large_payload(struct server *server) {
    start(server);
    natsConnection *publisher = connect_to(server);
    CHECK(natsConnection_GetMaxPayload(publisher) == MIB, "the limit told is %lld",
          (long long)natsConnection_GetMaxPayload(publisher));
    natsStatus status = natsConnection_Publish(publisher, "large", block, MIB + 1);
    CHECK(status == NATS_MAX_PAYLOAD, "more than the limit: %s", natsStatus_GetText(status));
    round_trip(publisher);
}

static void flow_in_order(struct server *server) {
    start(server);
    natsConnection *subscriber = connect_to(server), *publisher = connect_to(server);
    natsSubscription *subscription = subscribe(subscriber, "flow");
    OK(natsConnection_Flush(subscriber));
    publish_numbers(publisher, "flow", 0, FLOW_MESSAGES);
    OK(natsConnection_Flush(publisher));
    numbers_follow(subscription, 0, FLOW_MESSAGES, "all messages in order, each once");
    nothing_more(subscription, "the flow");
}

static void lame_duck(struct server *server) {
    char flags[256];
    snprintf(flags, sizeof flags, "%s", getenv("LAME_DUCK_FLAGS"));
    int count = 0;
    for (char *flag = strtok(flags, " "); flag != NULL && count < 7; flag = strtok(NULL, " ")) {
        server->flags[count++] = flag;
    }
    start(server);
    struct events events = {0};
    natsConnection *connection = connect_to_stay(server, &events);
    natsSubscription *subscription = subscribe(connection, "still.here");
    OK(natsConnection_Flush(connection));
    kill(server->process, SIGUSR2);
    EVENTUALLY(events.lame_duck > 0, "the notice");
    CHECK(events.disconnected == 0, "the connection was closed before the notice");
    OK(natsConnection_PublishString(connection, "still.here", "yes"));
    next_is(subscription, "yes", "a message in the grace period");
    EVENTUALLY(events.disconnected > 0, "the connection is closed");
    EVENTUALLY(!alive(server), "the server ends by itself");
    start(server);
    EVENTUALLY(events.reconnected > 0, "the client is back on the next server");
    OK(natsConnection_PublishString(connection, "still.here", "again"));
    next_is(subscription, "again", "a message after the change of servers");
}

// ---- Running them -----------------------------------------------------------------------------------------------------

static const struct {
    const char *name;
    void (*run)(struct server *);
} behaviours[] = {
    {"pub_sub", pub_sub},
    {"wildcards", wildcards},
    {"queue_groups", queue_groups},
    {"request_reply", request_reply},
    {"requests_1000_at_once", requests_1000_at_once},
    {"no_responders", no_responders},
    {"headers", headers},
    {"auto_unsubscribe", auto_unsubscribe},
    {"drain", drain},
    {"reconnect", reconnect},
    {"user_and_password", user_and_password},
    {"token", token},
    {"large_payload", large_payload},
    {"over_large_payload", over_large_payload},
    {"flow_in_order", flow_in_order},
    {"lame_duck", lame_duck},
};

static void show(const char *name, long last) {
    char path[512], text[1024];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) return;
    if (fseek(file, -last, SEEK_END) != 0) rewind(file);
    size_t read = fread(text, 1, sizeof text, file);
    printf("%.*s\n", (int)read, text);
    fclose(file);
}

static void remove_directory(void) {
    char path[512];
    DIR *listing = opendir(directory);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        unlink(path);  // Fails for `.` and `..` only.
    }
    closedir(listing);
    rmdir(directory);
}

// In a process of its own: whatever happens there, the next behaviour starts clean.
static _Noreturn void run_alone(int which) {
    char path[128];
    snprintf(path, sizeof path, "%s/reason", directory);
    if (freopen(path, "w", stdout) == NULL) _exit(1);
    alarm(BEHAVIOUR_SECONDS_MAX);
    struct server server = {0};
    behaviours[which].run(&server);
    CHECK(alive(&server), "the server died");
    kill_server(&server);
    _exit(0);
}

int main(int count, char **arguments) {
    server_words = count - 1;
    server_command = arguments + 1;
    if (server_words < 1 || server_words > COMMAND_WORDS_MAX - 16) {
        fprintf(stderr, "usage: suite SERVER_BINARY [server flags...]\n");
        return 2;
    }
    int total = (int)(sizeof behaviours / sizeof behaviours[0]), failed = 0;
    for (int which = 0; which < total; which++) {
        const char *temporary = getenv("TMPDIR");
        snprintf(directory, sizeof directory, "%.30s/trunkline-clients-XXXXXX", temporary == NULL ? "/tmp" : temporary);
        if (mkdtemp(directory) == NULL) {
            perror(directory);
            return 2;
        }
        int64_t started = nats_Now();
        fflush(stdout);
        pid_t process = fork();
        if (process == 0) run_alone(which);
        int status;
        waitpid(process, &status, 0);
        double took = (double)(nats_Now() - started) / 1000;
        if (status == 0) {
            printf("ok   c       %s (%.2f s)\n", behaviours[which].name, took);
        } else {
            failed++;
            printf("FAIL c       %s (%.2f s): ", behaviours[which].name, took);
            if (WIFSIGNALED(status)) {
                int number = WTERMSIG(status);
                printf("%s ", number == SIGALRM ? "not within its time" : strsignal(number));
            }
            show("reason", 800);
            show("log", 800);
        }
        remove_directory();
    }
    printf("c: %d passed, %d failed\n", total - failed, failed);
    return failed == 0 ? 0 : 1;
}

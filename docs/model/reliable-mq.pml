/*
 * The protocol of nestjs-reliable-mq, for the model checker spin. README.md beside this file maps every step to the code.
 *
 * One event, two producer instances, one broker, the declared consumers, and a budget of faults that may strike at any step.
 * Every `atomic` block is one step: one SQL statement, one commit, or one exchange with the broker. Between two steps anything
 * else may happen.
 *
 * What is abstracted:
 *   - time. due_at is `none` (NULL), `due` (some moment, which may be now) or `leased` (not before the holder's lease is over). So
 *     every due row may be claimed at any moment, however long its backoff would be, and a lease that runs out under a living
 *     holder is a fault.
 *   - claim tokens. Each claim in the code takes a fresh UUID. Here a token is the number of the holder: a holder has one claim
 *     at a time, so "the row carries my number" and "the row carries my UUID" say the same. A claim whose holder is gone is
 *     written as NOBODY and the row as due: no living process has that UUID, and the lease runs out.
 *   - losses. A message or receipt that is lost is lost when it is sent: nobody could tell the difference.
 */

/* ---------------------------------------------------------------- scope */

#ifndef CONSUMERS
#define CONSUMERS 1                     /* declared consumers: @ReliableEvent({ consumers }) */
#endif
#ifndef INSTANCES
#define INSTANCES 2                     /* processes per consumer */
#endif
#ifndef FAULTS
#define FAULTS 2                        /* crashes, losses, duplicates, stalls, refusals … in one history */
#endif
#ifndef REDRIVES
#define REDRIVES 0                      /* how often a person may redrive */
#endif
#ifndef MAX_ATTEMPTS
#define MAX_ATTEMPTS 2                  /* publish.maxAttempts */
#endif
#ifndef MAX_HANDLINGS
#define MAX_HANDLINGS 2                 /* consume.maxAttempts */
#endif
#ifndef MAX_UNFINISHED
#define MAX_UNFINISHED 2                /* consume.maxUnfinishedStarts */
#endif

#define LIVES (REDRIVES + 1)
#define WORKERS (CONSUMERS * INSTANCES)
#define EVERYONE ((1 << CONSUMERS) - 1)

/* ---------------------------------------------------------------- promises, as assertions */

#define ATOMIC_RECORD 1                 /* the row exists if and only if the business change committed */
#define NO_PHANTOM 2                    /* nothing is published that is not committed */
#define NO_STUCK_ROW 3                  /* what is not at its end has a due time */
#define EFFECT_ONCE 4                   /* a handler's effects commit once per (event, consumer) */
#define STALE_CLAIM 5                   /* a settle under a lost claim changes nothing */
#define END_IS_FINAL 6                  /* consumed stays; dead stays, unless redriven */
#define COMPENSATED_ONCE 7              /* a compensation commits for dead events only, once per life */
#define CONSUMED_IS_TRUE 8              /* consumed: every declared consumer's effects are committed */
#define DEAD_OF_THIS_LIFE 9             /* a redriven event is not killed by what happened before */
#define DEAD_IS_TRUE 10                 /* dead: not every declared consumer has reported `handled` */

#ifndef ONLY
#define ONLY 0                          /* check one promise only */
#endif
#define CHECKED(promise) (ONLY == 0 || ONLY == promise)

/* ---------------------------------------------------------------- guards that a -D switch takes out */

#ifdef NO_CONDITIONAL_SETTLE
#define SETTLE_ALLOWED(s) true
#else
#ifdef NO_TOKEN
#define SETTLE_ALLOWED(s) (o_status == pending || o_status == published)
#else
#ifdef NO_STATUS_GUARD
#define SETTLE_ALLOWED(s) (o_token == s)
#else
#define SETTLE_ALLOWED(s) (o_token == s && (o_status == pending || o_status == published))
#endif
#endif
#endif

#ifdef NO_COMPENSATION_TOKEN
#define COMPENSATION_ALLOWED(s) (o_status == dead)
#else
#define COMPENSATION_ALLOWED(s) (o_token == s && o_status == dead)
#endif

#ifdef NO_INBOX_TOKEN
#define HANDLING_ALLOWED(i, c) true
#else
#define HANDLING_ALLOWED(i, c) (i_token[c] == i)
#endif

#ifdef NO_PUBLISH_DUE
#define PUBLISH_JOB false
#else
#define PUBLISH_JOB (o_status == pending)
#endif

#ifdef NO_CHASE
#define CHASE_JOB false
#else
#define CHASE_JOB (o_status == published)
#endif

#ifdef NO_COMPENSATION_JOB
#define COMPENSATION_JOB false
#else
#define COMPENSATION_JOB (o_status == dead)
#endif

#ifdef NO_GIVE_UP
#define EXHAUSTED(attempts) false
#else
#define EXHAUSTED(attempts) ((attempts) > MAX_ATTEMPTS)
#endif

#ifdef NO_QUARANTINE
#define KILLER(c) false
#else
#define KILLER(c) (i_unfinished[c] >= MAX_UNFINISHED)
#endif

#ifdef RECEIPTS_WITHOUT_LIFE
#define FROM_AN_EARLIER_LIFE(outcome, life) false
#else
#define FROM_AN_EARLIER_LIFE(outcome, life) (life < o_life && outcome != handled)
#endif

/* ---------------------------------------------------------------- words */

mtype = {
  nothing,                                              /* no row, no outcome */
  pending, published, consumed, dead,                   /* outbox.status; dead: inbox.status and receipt too */
  handled, failed, rejected, retrying,                  /* inbox.status; receipts */
  none, due, leased,                                    /* due_at */
  open, done,                                           /* the business transaction */
  idle,                                                 /* relays and workers */
  holds, routed, refused, unavailable, gives_up, stuck, /* a relay with a publication */
  to_compensate, compensating, compensation_failed,     /* a relay with a dead event */
  delivered, redelivered, starting, claimed, in_handler, /* a worker with a message or an inbox row */
  attempt_failed, attempt_rejected, killer, gives_back, concluded
};

#define NOBODY 9                        /* claim_token IS NULL; no lock */

#define DIRECT 0                        /* process A: publishes from memory what it has just committed */
#define TASK_A 1                        /* process A: its compensation task */
#define TASK_B 2                        /* process B: its compensation task */

/* ---------------------------------------------------------------- state */

byte faults = FAULTS;

/* The producer's database: the business change and its outbox row. */
mtype transaction = open;
bool business = false;
mtype o_status = nothing;
mtype o_due = none;
byte o_token = NOBODY;
byte o_attempts = 0;
byte o_life = 0;                        /* redrives */
bool o_published_before = false;        /* published_at IS NOT NULL */
bool o_compensated = false;             /* compensated_at IS NOT NULL */
mtype o_outcome[CONSUMERS] = nothing;   /* outcomes */
byte o_lock = NOBODY;                   /* row lock of an open compensation transaction */

/* The producer's processes. */
mtype p_phase[3] = idle;
bool p_last[3] = false;                 /* its attempt is the last one, if refused */
byte p_targets[3] = 0;                  /* bit per consumer */
byte p_life[3] = 0;

/* The broker: messages per consumer and life of the event; receipts are a set, read in any order. */
byte q_fresh[CONSUMERS * LIVES] = 0;
byte q_redelivered[CONSUMERS * LIVES] = 0;
bool receipt[4 * CONSUMERS * LIVES] = false;

/* The consumers' databases: the inbox row of the event, and how often its effects were committed. */
mtype i_status[CONSUMERS] = nothing;
mtype i_due[CONSUMERS] = none;
byte i_token[CONSUMERS] = NOBODY;
byte i_attempts[CONSUMERS] = 0;
byte i_unfinished[CONSUMERS] = 0;
byte i_life[CONSUMERS] = 0;
byte i_lock[CONSUMERS] = NOBODY;        /* an uncommitted insert, or the row lock, of an open handler transaction */
byte effects[CONSUMERS] = 0;

/* The consumers' processes. */
mtype w_phase[WORKERS] = idle;
mtype w_outcome[WORKERS] = nothing;
byte w_life[WORKERS] = 0;
bool w_unacked[WORKERS] = false;        /* holds a delivery that the broker would give to another */
bool w_owned[WORKERS] = false;          /* the attempt is under an inbox claim, not under a delivery */

byte index;                             /* scratch, zero between steps */

/* ---------------------------------------------------------------- pieces of steps */

#define KIND(outcome) (outcome == handled -> 0 : (outcome == retrying -> 1 : (outcome == rejected -> 2 : 3)))
#define RECEIPT(c, life, outcome) receipt[((c) * LIVES + (life)) * 4 + KIND(outcome)]

inline promise(which, condition) {
  assert(!CHECKED(which) || (condition))
}

/* As the first statement of an alternative only: an atomic step must not begin what it cannot finish. */
inline fault() {
  faults > 0 -> faults--
}

#define OUTCOME(c, outcome) (o_outcome[c] == outcome)
#if CONSUMERS == 1
#define COMPLETE OUTCOME(0, handled)
#define FAILURE (OUTCOME(0, rejected) || OUTCOME(0, dead))
#define NO_OUTCOME OUTCOME(0, nothing)
#define ALL_REPORTED !OUTCOME(0, nothing)
#define MISSING (1 - OUTCOME(0, handled))
#define ALL_EFFECTS (effects[0] == 1)
#define INBOX_ENDED (i_status[0] != failed)
#define INBOX_NOT_STUCK (i_status[0] != failed || i_due[0] != none)
#else
#define COMPLETE (OUTCOME(0, handled) && OUTCOME(1, handled))
#define FAILURE (OUTCOME(0, rejected) || OUTCOME(0, dead) || OUTCOME(1, rejected) || OUTCOME(1, dead))
#define NO_OUTCOME (OUTCOME(0, nothing) && OUTCOME(1, nothing))
#define ALL_REPORTED (!OUTCOME(0, nothing) && !OUTCOME(1, nothing))
#define MISSING ((1 - OUTCOME(0, handled)) + 2 * (1 - OUTCOME(1, handled)))
#define ALL_EFFECTS (effects[0] == 1 && effects[1] == 1)
#define INBOX_ENDED (i_status[0] != failed && i_status[1] != failed)
#define INBOX_NOT_STUCK ((i_status[0] != failed || i_due[0] != none) && (i_status[1] != failed || i_due[1] != none))
#endif

/* Every change of outbox.status passes here, but a redrive. */
inline set_status(next) {
  promise(END_IS_FINAL, !(o_status == consumed && next != consumed));
  promise(END_IS_FINAL, !(o_status == dead && next != dead));
  promise(DEAD_IS_TRUE, next != dead || !COMPLETE);
  o_status = next
}

/* OutboxStore.claim: SKIP LOCKED, a fresh token, the attempt counted. The counter stops where no comparison can see it. */
inline claim(s) {
  o_token = s;
  o_due = leased;
  if
  :: o_status == dead
  :: else ->
     if
     :: o_attempts < MAX_ATTEMPTS + 2 -> o_attempts++
     :: else
     fi;
     p_last[s] = EXHAUSTED(o_attempts + 1);
     p_life[s] = o_life;
     /* publishTargets */
     if
     :: !o_published_before -> p_targets[s] = EVERYONE
     :: else ->
        p_targets[s] = MISSING
     fi
  fi
}

/* Idle processes are alike: of several, only the first takes the next thing. Which one it is makes no difference, and there are
 * fewer states. (Process B is like process A once nothing is left of A's direct publication, which dies with A.) */
#define RELAY_TURN(s) (s != DIRECT && p_phase[s] == idle && (s == TASK_A || p_phase[TASK_A] != idle || p_phase[DIRECT] != idle))
#define WORKER_TURN(i) (w_phase[i] == idle && (i % INSTANCES == 0 || w_phase[i - 1] != idle))

inline forget_publication(s) {
  p_phase[s] = idle;
  p_last[s] = false;
  p_targets[s] = 0;
  p_life[s] = 0
}

/* One message enters a consumer's queue, is lost there (purge, lost node), or is doubled. */
inline enqueue(c, life) {
  if
#ifdef CONSUMER_DOWN
  :: q_fresh[(c) * LIVES + life] >= 3                  /* more of the same makes no difference to nobody */
  :: q_fresh[(c) * LIVES + life] < 3 -> q_fresh[(c) * LIVES + life]++
#else
  :: q_fresh[(c) * LIVES + life]++
  :: fault(); q_fresh[(c) * LIVES + life] = q_fresh[(c) * LIVES + life] + 2; printf("broker: a message is doubled\n")
#endif
  :: fault(); printf("broker: a message for consumer %d is lost\n", c)
  fi
}

/* What the broker has confirmed is in every target's queue; of what it has not, nobody knows. */
inline enqueue_targets(s) {
  index = 0;
  do
  :: index < CONSUMERS ->
     if
     :: p_targets[s] & (1 << index) -> enqueue(index, p_life[s])
     :: !(p_targets[s] & (1 << index)) || p_phase[s] != routed
     fi;
     index++
  :: else -> break
  od;
  index = 0
}

/* Whatever has been published or reported counts as one attempt at least. */
inline at_least_one_attempt() {
  if
  :: o_attempts == 0 -> o_attempts = 1
  :: else
  fi
}

/* OutboxStore.settle */
inline settle(s) {
  if
  :: SETTLE_ALLOWED(s) ->
     promise(STALE_CLAIM, o_token == s);
     if
     :: p_phase[s] == unavailable && o_attempts > 0 -> o_attempts--             /* postponed */
     :: p_phase[s] == unavailable && o_attempts == 0
     :: p_phase[s] != unavailable ->
        at_least_one_attempt();
        if
        :: p_phase[s] == routed -> set_status(published); o_published_before = true
        :: p_phase[s] == refused -> set_status(pending)                         /* retry */
        :: p_phase[s] == gives_up -> promise(DEAD_OF_THIS_LIFE, p_life[s] == o_life); set_status(dead)
        fi
     fi;
     o_due = due; o_token = NOBODY
  :: else -> printf("relay %d: its claim is lost, nothing is changed\n", s)
  fi;
  forget_publication(s)
}

/* `handled` is never overwritten, and `retrying` never overwrites a final outcome. */
#define MAY_OVERWRITE(c, outcome) (o_outcome[c] != handled && !(outcome == retrying && (o_outcome[c] == rejected || o_outcome[c] == dead)))

/* OutboxStore.applyReceipts, one receipt */
inline apply_receipt(c, outcome, life) {
  printf("receipt listener: consumer %d says %e (life %d)\n", c, outcome, life);
  if
  :: o_status == nothing
  :: else ->
     if
     :: MAY_OVERWRITE(c, outcome) && !FROM_AN_EARLIER_LIFE(outcome, life) -> o_outcome[c] = outcome
     :: else
     fi;
     if
     :: o_status == consumed || o_status == dead
     :: else ->
        if
        :: COMPLETE -> set_status(consumed); o_due = none; o_token = NOBODY
        :: !COMPLETE && FAILURE ->
           promise(DEAD_OF_THIS_LIFE, life == o_life);
           set_status(dead); o_due = due; o_token = NOBODY
        :: !COMPLETE && !FAILURE ->
           set_status(published);
           if
           :: outcome == retrying && !FROM_AN_EARLIER_LIFE(outcome, life) && ALL_REPORTED && o_token != NOBODY -> o_due = leased
           :: else
           fi
        fi
     fi;
     at_least_one_attempt();
     o_published_before = true
  fi
}

inline lose_relay(s) {
  if
  :: o_lock == s -> o_lock = NOBODY
  :: else
  fi;
  if
  :: o_token == s -> o_token = NOBODY; o_due = due
  :: else
  fi;
  forget_publication(s)
}

/* ---------------------------------------------------------------- the producer */

/* EventRecorder.record in the caller's transaction; QueryRunnerGuard; PublisherGroup.listener. Hooks: recorded, committed, deferred */
proctype Recorder() {
#ifdef INSERT_OUTSIDE_THE_TRANSACTION
  atomic { o_status = pending; o_attempts = 1; o_due = due };
#endif
#ifdef PUBLISH_BEFORE_COMMIT
  atomic { p_phase[DIRECT] = holds; p_targets[DIRECT] = EVERYONE };
#endif
end:
  atomic {
    transaction == open ->
    transaction = done;
    if
    :: printf("business: rolls back\n")
    :: business = true;
       o_status = pending; o_attempts = 1; o_due = due;
#ifdef PUBLISH_BEFORE_COMMIT
       o_token = DIRECT; o_due = leased
#else
       if
       :: printf("business: commits; the event is in memory\n");
          o_token = DIRECT; o_due = leased; p_phase[DIRECT] = holds; p_last[DIRECT] = EXHAUSTED(2); p_targets[DIRECT] = EVERYONE
       :: printf("business: commits; the event is deferred\n")
       fi
#endif
    fi
  }
}

/* Publisher, Settler; for the tasks also PublishDueJob, ChaseReceiptsJob, RunCompensationsJob */
proctype Relay(byte s) {
end:
  do
  /* OutboxStore.claim by a job. Hooks: jobStarted, jobBatch, jobFinished */
  :: atomic { RELAY_TURN(s) && o_due == due && o_lock == NOBODY && (PUBLISH_JOB || CHASE_JOB || COMPENSATION_JOB) ->
       printf("relay %d: claims the %e event\n", s, o_status);
       claim(s);
       if
       :: o_status == dead -> p_phase[s] = to_compensate
       :: o_status == published && EXHAUSTED(o_attempts) -> p_phase[s] = gives_up; p_targets[s] = 0; p_last[s] = false
       :: else -> p_phase[s] = holds
       fi }

  /* Publisher.publish, and the broker's answer. Hooks: publishing, sent, confirmed */
  :: atomic { p_phase[s] == holds ->
       promise(NO_PHANTOM, business);
       if
#ifdef WAIT_FOR_NOBODY
       :: p_targets[s] == 0 -> p_phase[s] = stuck; printf("relay %d: publishes to nobody, and waits for the confirms of nothing\n", s)
#else
       :: p_targets[s] == 0 -> p_phase[s] = routed; printf("relay %d: publishes to nobody\n", s)
#endif
       :: p_targets[s] != 0 -> p_phase[s] = routed; printf("relay %d: publishes to %d\n", s, p_targets[s])
       :: p_targets[s] != 0 && faults > 0 -> faults--; p_phase[s] = (p_last[s] -> gives_up : refused); printf("relay %d: publishes, the broker returns or refuses it\n", s)
       :: p_targets[s] != 0 && faults > 0 -> faults--; p_phase[s] = unavailable; printf("relay %d: publishes, and hears nothing\n", s)
       fi;
       enqueue_targets(s);
       p_targets[s] = 0; p_last[s] = false }
  /* GiveUp.afterPublish, OutboxStore.settle. Hooks: settling, settled, settleLost, dead */
  :: atomic { (p_phase[s] == routed || p_phase[s] == refused || p_phase[s] == unavailable || p_phase[s] == gives_up) && o_lock == NOBODY ->
       printf("relay %d: settles, it was %e\n", s, p_phase[s]);
       settle(s) }

  /* RunCompensationsJob.runHandler: settleCompensated comes first in the handler's transaction, and holds the row's
   * lock. Hooks: compensating, compensationReturned, compensated, compensationFailed */
  :: atomic { p_phase[s] == to_compensate && o_lock == NOBODY ->
       if
       :: COMPENSATION_ALLOWED(s) -> o_lock = s; p_phase[s] = compensating; printf("relay %d: compensates\n", s)
       :: else -> p_phase[s] = idle; printf("relay %d: its claim on the dead event is lost\n", s)
       fi }
  :: atomic { p_phase[s] == compensating ->
       if
       :: promise(COMPENSATED_ONCE, o_status == dead && !o_compensated);
          o_compensated = true; o_due = none; o_token = NOBODY; o_lock = NOBODY;
          if
          :: p_phase[s] = idle; printf("relay %d: the compensation commits\n", s)
          :: fault(); p_phase[s] = compensation_failed; printf("relay %d: the compensation commits, but the answer is lost\n", s)
          fi
       :: fault(); o_lock = NOBODY; p_phase[s] = compensation_failed; printf("relay %d: the compensation handler fails\n", s)
       fi }
  :: atomic { p_phase[s] == compensation_failed && o_lock == NOBODY ->
       if
       :: COMPENSATION_ALLOWED(s) -> o_due = due; o_token = NOBODY
       :: else
       fi;
       p_phase[s] = idle }
  od
}

/* ReceiptListener: acknowledges after the commit, so a receipt may come again. Hooks: receiptsReceived, receiptsApplied, consumed,
 * dead, lateOutcome */
#define ANY_OF(k) (receipt[k] || receipt[k + 1] || receipt[k + 2] || receipt[k + 3])
#if CONSUMERS * LIVES == 1
#define RECEIPTS_WAIT ANY_OF(0)
#else
#define RECEIPTS_WAIT (ANY_OF(0) || ANY_OF(4))
#endif
#if CONSUMERS * LIVES > 2
#error "receipts of two consumers in two lives: add them to the listener"
#endif
#define TAKE(c_, life_, outcome_) :: RECEIPT(c_, life_, outcome_) -> c = c_; life = life_; outcome = outcome_;

proctype ReceiptListener() {
  byte c = 0, life = 0;
  mtype outcome = nothing;
end:
  do
  :: atomic { o_lock == NOBODY && RECEIPTS_WAIT ->
       if
       TAKE(0, 0, handled) TAKE(0, 0, retrying) TAKE(0, 0, rejected) TAKE(0, 0, dead)
#if REDRIVES > 0
       TAKE(0, 1, handled) TAKE(0, 1, retrying) TAKE(0, 1, rejected) TAKE(0, 1, dead)
#endif
#if CONSUMERS > 1
       TAKE(1, 0, handled) TAKE(1, 0, retrying) TAKE(1, 0, rejected) TAKE(1, 0, dead)
#endif
       fi;
       if
       :: RECEIPT(c, life, outcome) = false
       :: fault()
       fi;
       apply_receipt(c, outcome, life);
       c = 0; life = 0; outcome = nothing }
  od
}

/* PostgresOperationsStore.redrive, by a person, or not */
proctype Operator() {
end:
  do
  :: atomic { o_life < REDRIVES && o_status == dead && o_lock == NOBODY && (o_token == NOBODY || o_due == due) ->
       printf("a person redrives the dead event\n");
       if
       :: NO_OUTCOME -> o_published_before = false
       :: else
       fi;
       index = 0;
       do
       :: index < CONSUMERS ->
          if
          :: o_outcome[index] != handled -> o_outcome[index] = nothing
          :: else
          fi;
          index++
       :: else -> break
       od;
       index = 0;
       o_attempts = 0; o_token = NOBODY; o_life++; o_compensated = false;
       if
#ifndef REDRIVE_WITHOUT_JUDGEMENT
       :: COMPLETE -> o_status = consumed; o_due = none; printf("everyone has handled it meanwhile: consumed\n")
       :: !COMPLETE -> o_status = pending; o_due = due
#else
       :: o_status = pending; o_due = due
#endif
       fi }
  od
}

/* ---------------------------------------------------------------- the consumers */

inline rest(i) {
  w_phase[i] = idle;
  w_outcome[i] = nothing;
  w_unacked[i] = false;
  w_owned[i] = false;
  w_life[i] = 0
}

inline lose_worker(i, c) {
  if
  :: i_lock[c] == i -> i_lock[c] = NOBODY
  :: else
  fi;
  if
  :: i_token[c] == i -> i_token[c] = NOBODY; i_due[c] = due
  :: else
  fi;
  if
  :: w_unacked[i] -> q_redelivered[(c) * LIVES + w_life[i]]++
  :: else
  fi;
  rest(i)
}

/* The receipt is neither persistent nor confirmed. Dying before it is sent, and losing it, come to the same. */
inline report(i, c) {
  if
  :: RECEIPT(c, w_life[i], w_outcome[i]) = true
  :: fault(); printf("worker %d: its receipt is lost\n", i)
  fi;
  rest(i)
}

/* The outcome is stored. What the inbox owns needs no acknowledgement. */
inline conclude(i, c, outcome) {
  w_outcome[i] = outcome;
  if
  :: w_unacked[i] -> w_phase[i] = concluded
  :: else -> report(i, c)
  fi
}

#define REPORTED(c) (i_status[c] == failed -> retrying : i_status[c])

/* Consumer.existing: InboxStore.claimAnew, InboxStore.find. Hook: duplicate */
inline conclude_existing(i, c) {
  if
  :: i_life[c] < w_life[i] && (i_status[c] == dead || i_status[c] == rejected) ->
     printf("worker %d: the message was redriven, a new start\n", i);
     i_status[c] = failed; i_due[c] = leased; i_token[c] = i; i_attempts[c] = 0; i_unfinished[c] = 0; i_life[c] = w_life[i];
     w_phase[i] = starting
  :: else ->
     printf("worker %d: a duplicate, its inbox row is %e\n", i, i_status[c]);
     conclude(i, c, REPORTED(c))
  fi
}

/* failedAttempt, and the columns that it becomes */
inline store_failure(i, c) {
  if
  :: w_phase[i] == attempt_rejected -> i_status[c] = rejected; i_due[c] = none
  :: w_phase[i] == killer || (w_phase[i] == attempt_failed && i_attempts[c] >= MAX_HANDLINGS) ->
     i_status[c] = dead; i_due[c] = none; printf("worker %d: gives the event up\n", i)
  :: else -> i_status[c] = failed; i_due[c] = due
  fi
}

/* It is not known whether the transaction committed: the inbox will tell. */
inline doubt(i) {
  if
  :: w_owned[i] -> w_phase[i] = gives_back
  :: else -> w_phase[i] = delivered
  fi
}

inline commit_effects(c) {
  effects[c]++;
  promise(EFFECT_ONCE, effects[c] == 1)
}

/* One process of consumer c: Consumer, Attempts, RetryFailedJob, ReceiptSender */
proctype Worker(byte i; byte c) {
end:
  do
#ifndef CONSUMER_DOWN
  /* Consumer.take. Hook: received */
  :: atomic { WORKER_TURN(i) && q_fresh[c * LIVES] > 0 -> q_fresh[c * LIVES]--; w_unacked[i] = true; w_phase[i] = delivered }
  :: atomic { WORKER_TURN(i) && q_redelivered[c * LIVES] > 0 -> q_redelivered[c * LIVES]--; w_unacked[i] = true; w_phase[i] = redelivered }
#if REDRIVES > 0
  :: atomic { WORKER_TURN(i) && q_fresh[c * LIVES + 1] > 0 -> q_fresh[c * LIVES + 1]--; w_life[i] = 1; w_unacked[i] = true; w_phase[i] = delivered }
  :: atomic { WORKER_TURN(i) && q_redelivered[c * LIVES + 1] > 0 -> q_redelivered[c * LIVES + 1]--; w_life[i] = 1; w_unacked[i] = true; w_phase[i] = redelivered }
#endif
#endif

  /* RetryFailedJob: InboxStore.claim. It takes a lease, and counts nothing. Hook: jobBatch */
#ifndef NO_RETRY_JOB
  :: atomic { WORKER_TURN(i) && i_status[c] == failed && i_due[c] == due && i_lock[c] == NOBODY ->
       i_token[c] = i; i_due[c] = leased;
       w_owned[i] = true; w_life[i] = i_life[c];
       printf("worker %d: claims the failed inbox row\n", i);
       if
       :: KILLER(c) -> w_phase[i] = killer
       :: else -> w_phase[i] = starting
       fi }
#endif
  /* HeldClaim.start: InboxStore.start. The attempt and its start are counted, if the claim is still there. The counters stop where no
   * comparison can see it. */
  :: atomic { w_phase[i] == starting && i_lock[c] == NOBODY ->
       w_unacked[i] = false; w_owned[i] = true;
       if
       :: HANDLING_ALLOWED(i, c) ->
          i_due[c] = leased;
          if
          :: i_attempts[c] < MAX_HANDLINGS + 1 -> i_attempts[c]++
          :: else
          fi;
          if
          :: i_unfinished[c] < MAX_UNFINISHED + 2 -> i_unfinished[c]++
          :: else
          fi;
          w_phase[i] = claimed; printf("worker %d: starts attempt %d\n", i, i_attempts[c])
       :: else -> printf("worker %d: its claim is lost\n", i); rest(i)
       fi }

#ifdef NO_INBOX
  :: atomic { w_phase[i] == delivered || w_phase[i] == redelivered -> w_phase[i] = in_handler }
#else
  /* Fresh: InboxStore.insertHandled, first in the handler's transaction. Redelivered: InboxStore.adopt. Both wait for another's
   * uncommitted insert. */
  :: atomic { (w_phase[i] == delivered || w_phase[i] == redelivered) && i_lock[c] == NOBODY ->
       if
       :: i_status[c] == nothing && w_phase[i] == delivered ->
          i_lock[c] = i;
          w_phase[i] = in_handler; printf("worker %d: begins a fresh attempt\n", i)
       :: i_status[c] == nothing && w_phase[i] == redelivered ->
          i_status[c] = failed; i_due[c] = leased; i_token[c] = i; i_attempts[c] = 1; i_unfinished[c] = 2; i_life[c] = w_life[i];
          w_phase[i] = claimed; printf("worker %d: adopts a redelivered message\n", i)
       :: else -> conclude_existing(i, c)
       fi }
#endif
  /* onStored acknowledges: the inbox has it. InboxStore.settleHandled, first in the handler's transaction */
  :: atomic { w_phase[i] == claimed && i_lock[c] == NOBODY ->
       w_unacked[i] = false; w_owned[i] = true;
       if
       :: HANDLING_ALLOWED(i, c) -> i_lock[c] = i; w_phase[i] = in_handler; printf("worker %d: begins a claimed attempt\n", i)
       :: else -> printf("worker %d: its claim is lost\n", i); rest(i)
       fi }

  /* The handler, and the commit of its transaction. Hooks: handling, handlerReturned, handled, handlingFailed */
  :: atomic { w_phase[i] == in_handler ->
       if
#ifdef POISON
       :: printf("worker %d: the handler kills its process\n", i); lose_worker(i, c)
#else
       :: printf("worker %d: handled, its effects commit\n", i);
          commit_effects(c);
#ifndef NO_INBOX
          i_status[c] = handled; i_due[c] = none; i_token[c] = NOBODY; i_unfinished[c] = 0; i_lock[c] = NOBODY;
#endif
          if
          :: conclude(i, c, handled)
          :: fault(); printf("worker %d: the commit is not answered\n", i); doubt(i)
          fi
       :: fault(); printf("worker %d: the database goes away, nothing is committed\n", i);
          if
          :: i_lock[c] == i -> i_lock[c] = NOBODY
          :: else
          fi;
          doubt(i)
#ifndef NO_INBOX
       :: printf("worker %d: the handler fails\n", i); i_lock[c] = NOBODY; w_phase[i] = attempt_failed
       :: printf("worker %d: the handler rejects\n", i); i_lock[c] = NOBODY; w_phase[i] = attempt_rejected
#endif
#endif
       fi }

  /* InboxStore.insertFailure: a fresh attempt has no row yet */
  :: atomic { (w_phase[i] == attempt_failed || w_phase[i] == attempt_rejected) && !w_owned[i] && i_lock[c] == NOBODY ->
       if
       :: i_status[c] == nothing ->
          i_attempts[c] = 1; i_life[c] = w_life[i];
          store_failure(i, c);
          conclude(i, c, REPORTED(c))
       :: else -> conclude_existing(i, c)
       fi }
  /* InboxStore.settleFailed */
  :: atomic { (w_phase[i] == attempt_failed || w_phase[i] == attempt_rejected || w_phase[i] == killer) && w_owned[i] && i_lock[c] == NOBODY ->
       if
       :: HANDLING_ALLOWED(i, c) ->
          i_token[c] = NOBODY; i_unfinished[c] = 0;
          store_failure(i, c);
          conclude(i, c, REPORTED(c))
       :: else -> rest(i)
       fi }
  /* InboxStore.release */
  :: atomic { w_phase[i] == gives_back && i_lock[c] == NOBODY ->
       if
       :: i_token[c] == i ->
          i_due[c] = due; i_token[c] = NOBODY;
          if
          :: i_attempts[c] > 0 -> i_attempts[c]--
          :: else
          fi;
          if
          :: i_unfinished[c] > 0 -> i_unfinished[c]--
          :: else
          fi
       :: else
       fi;
       rest(i) }

  /* Delivery.ack, after the commit; ReceiptSender. Hooks: acknowledged, receiptsSending, receiptsSent */
  :: atomic { w_phase[i] == concluded -> report(i, c) }
  od
}

/* ---------------------------------------------------------------- time and faults */

/* A holder stalls (a stopped process, a long pause, a slow database): its lease runs out, and it goes on later. */
#define STALL_WORKER(c) \
  :: atomic { faults > 0 && i_due[c] == leased -> faults--; i_due[c] = due; printf("worker %d stalls, its lease runs out\n", i_token[c]) }

proctype Stalls() {
end:
  do
  :: atomic { faults > 0 && o_due == leased -> faults--; o_due = due; printf("relay %d stalls, its lease runs out\n", o_token) }
  STALL_WORKER(0)
#if CONSUMERS > 1
  STALL_WORKER(1)
#endif
  od
}

#define CRASH_WORKER(i, c) \
  :: atomic { faults > 0 && w_phase[i] != idle -> faults--; printf("worker %d dies\n", i); lose_worker(i, c) } \
  :: atomic { faults > 0 && w_unacked[i] -> faults--; w_unacked[i] = false; q_redelivered[(c) * LIVES + w_life[i]]++; printf("worker %d loses its connection, the broker delivers again\n", i) }

proctype Chaos() {
end:
  do
  :: atomic { faults > 0 && (p_phase[DIRECT] != idle || p_phase[TASK_A] != idle || transaction == open) ->
       faults--; printf("process A dies\n");
       transaction = done; lose_relay(DIRECT); lose_relay(TASK_A) }
  :: atomic { faults > 0 && p_phase[TASK_B] != idle -> faults--; printf("process B dies\n"); lose_relay(TASK_B) }
  CRASH_WORKER(0, 0)
#if WORKERS > 1
  CRASH_WORKER(1, 1 / INSTANCES)
#endif
#if WORKERS > 2
  CRASH_WORKER(2, 2 / INSTANCES)
  CRASH_WORKER(3, 3 / INSTANCES)
#endif
  od
}

/* ---------------------------------------------------------------- invariants and ends */

#define COMPENSATED_END (o_status == dead && o_compensated && o_due == none)
#define OUTBOX_ENDED (transaction == done && (o_status == nothing || o_status == consumed || COMPENSATED_END))

/* Enabled only in a state that breaks a promise, so it adds no states. */
#define INVARIANT(which, condition) :: atomic { CHECKED(which) && !(condition) -> promise(which, condition) }

proctype Invariants() {
end:
  do
  INVARIANT(ATOMIC_RECORD, (o_status != nothing) == business)
  INVARIANT(NO_STUCK_ROW, o_status == nothing || o_due != none || o_status == consumed || COMPENSATED_END)
  INVARIANT(NO_STUCK_ROW, INBOX_NOT_STUCK)
  INVARIANT(CONSUMED_IS_TRUE, o_status != consumed || ALL_EFFECTS)
  INVARIANT(COMPENSATED_ONCE, !o_compensated || o_status == dead)
  od
}

init {
  atomic {
    run Recorder();
    run Relay(DIRECT);
    run Relay(TASK_A);
    run Relay(TASK_B);
    run ReceiptListener();
    run Worker(0, 0);
#if WORKERS > 1
    run Worker(1, 1 / INSTANCES);
#endif
#if WORKERS > 2
    run Worker(2, 2 / INSTANCES);
    run Worker(3, 3 / INSTANCES);
#endif
    run Stalls();
    run Chaos();
#if REDRIVES > 0
    run Operator();
#endif
    run Invariants()
  }
}

/* Every event comes to its end and stays there, and so does what the consumers know of it. */
ltl known_end { <>[] (OUTBOX_ENDED && INBOX_ENDED) }

/* Reachable: each of these formulas must be refuted. */
#ifdef ONLY_REDRIVEN
#define CONSUMED (o_status == consumed && o_life > 0)
#else
#define CONSUMED (o_status == consumed)
#endif
ltl never_consumed { [] !CONSUMED }
ltl never_compensated { [] !COMPENSATED_END }

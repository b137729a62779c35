// Objects that can be called, for programs written against the Android NDK: names and signatures are those of its
// binder_ibinder.h.
//
// An AIBinder is a local object, made by AIBinder_new(), or stands for a remote one. As long as anybody refers to it, the same
// object is the same pointer. References are counted by hand: AIBinder_incStrong(), AIBinder_decStrong(); sessions count theirs
// too, and a local object lives until all are gone. Any thread.
#pragma once
#include <android/binder_parcel.h>
#include <android/binder_status.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t binder_flags_t;
enum {
  FLAG_ONEWAY = 0x01,  // no reply: the call returns once it is sent
};

typedef uint32_t transaction_code_t;
enum {
  FIRST_CALL_TRANSACTION = 0x00000001,
  LAST_CALL_TRANSACTION = 0x00ffffff,
};

struct AIBinder_Class;
typedef struct AIBinder_Class AIBinder_Class;
struct AIBinder;
typedef struct AIBinder AIBinder;
struct AIBinder_Weak;
typedef struct AIBinder_Weak AIBinder_Weak;
struct AIBinder_DeathRecipient;
typedef struct AIBinder_DeathRecipient AIBinder_DeathRecipient;

// --- Classes: what local objects do, and what remote objects are expected to be. They last as long as the process. ---

typedef void* (*AIBinder_Class_onCreate)(void* args);  // `args` of AIBinder_new(); answers the object's user data
typedef void (*AIBinder_Class_onDestroy)(void* userData);
// Serves a call whose interface token has been checked. `in` stands behind the token.
typedef binder_status_t (*AIBinder_Class_onTransact)(AIBinder* binder, transaction_code_t code, const AParcel* in, AParcel* out);
typedef binder_status_t (*AIBinder_onDump)(AIBinder* binder, int fd, const char** args, uint32_t numArgs);

// None may be null; null on error.
__attribute__((warn_unused_result)) AIBinder_Class* AIBinder_Class_define(const char* interfaceDescriptor,
                                                                          AIBinder_Class_onCreate onCreate,
                                                                          AIBinder_Class_onDestroy onDestroy,
                                                                          AIBinder_Class_onTransact onTransact);
void AIBinder_Class_setOnDump(AIBinder_Class* clazz, AIBinder_onDump onDump);
// Calls carry no interface token, and none is checked.
void AIBinder_Class_disableInterfaceTokenHeader(AIBinder_Class* clazz);
const char* AIBinder_Class_getDescriptor(const AIBinder_Class* clazz);

// --- Objects ---

__attribute__((warn_unused_result)) AIBinder* AIBinder_new(const AIBinder_Class* clazz, void* args);  // with one reference
bool AIBinder_isRemote(const AIBinder* binder);
bool AIBinder_isAlive(const AIBinder* binder);
binder_status_t AIBinder_ping(AIBinder* binder);
binder_status_t AIBinder_dump(AIBinder* binder, int fd, const char** args, uint32_t numArgs);
void AIBinder_incStrong(AIBinder* binder);
void AIBinder_decStrong(AIBinder* binder);
int32_t AIBinder_debugGetRefCount(AIBinder* binder);
// Says what class a remote object is of; false if it is not, which is a call to it the first time. A class is needed for calls.
bool AIBinder_associateClass(AIBinder* binder, const AIBinder_Class* clazz);
const AIBinder_Class* AIBinder_getClass(AIBinder* binder);
void* AIBinder_getUserData(AIBinder* binder);                // null for remote objects
bool AIBinder_lt(const AIBinder* lhs, const AIBinder* rhs);  // an order of objects, for maps
binder_status_t AIBinder_getExtension(AIBinder* binder, AIBinder** outExt);
binder_status_t AIBinder_setExtension(AIBinder* binder, AIBinder* ext);  // only local objects

// --- Calls ---

// A parcel for the arguments, with the token of the object's class at its start.
binder_status_t AIBinder_prepareTransaction(AIBinder* binder, AParcel** in);
// Takes `in`, in any case. `out` is the caller's; null after a failure.
binder_status_t AIBinder_transact(AIBinder* binder, transaction_code_t code, AParcel** in, AParcel** out, binder_flags_t flags);

// Of the call that this thread serves, else of this process. (uid_t)-1 and 0 if the transport does not tell.
uid_t AIBinder_getCallingUid(void);
pid_t AIBinder_getCallingPid(void);
bool AIBinder_isHandlingTransaction(void);

// --- Weak references ---

__attribute__((warn_unused_result)) AIBinder_Weak* AIBinder_Weak_new(AIBinder* binder);
void AIBinder_Weak_delete(AIBinder_Weak* weakBinder);
__attribute__((warn_unused_result)) AIBinder* AIBinder_Weak_promote(AIBinder_Weak* weakBinder);  // with a reference, or null
__attribute__((warn_unused_result)) AIBinder_Weak* AIBinder_Weak_clone(const AIBinder_Weak* weak);
bool AIBinder_Weak_lt(const AIBinder_Weak* lhs, const AIBinder_Weak* rhs);

// --- Death: the end of the session that a remote object came through ---

typedef void (*AIBinder_DeathRecipient_onBinderDied)(void* cookie);
typedef void (*AIBinder_DeathRecipient_onBinderUnlinked)(void* cookie);

__attribute__((warn_unused_result)) AIBinder_DeathRecipient* AIBinder_DeathRecipient_new(
    AIBinder_DeathRecipient_onBinderDied onBinderDied);
// Is called once for each AIBinder_linkToDeath(), when nothing will be told with its cookie any more: that is where to free it.
// To be set before linking.
void AIBinder_DeathRecipient_setOnUnlinked(AIBinder_DeathRecipient* recipient,
                                           AIBinder_DeathRecipient_onBinderUnlinked onUnlinked);
void AIBinder_DeathRecipient_delete(AIBinder_DeathRecipient* recipient);  // unlinks it from every object

binder_status_t AIBinder_linkToDeath(AIBinder* binder, AIBinder_DeathRecipient* recipient, void* cookie);
binder_status_t AIBinder_unlinkToDeath(AIBinder* binder, AIBinder_DeathRecipient* recipient, void* cookie);

#ifdef __cplusplus
}
#endif

// The NDK's headers serve C programs too: this compiles, and a small class of objects in C works.
#include <android/binder_ibinder.h>
#include <android/binder_parcel.h>
#include <android/binder_stability.h>
#include <android/binder_status.h>
#include <android/log.h>
#include <stdlib.h>

static void* on_create(void* args) { return args; }
static void on_destroy(void* data) { free(data); }

// Answers twice what it is given, plus the object's number.
static binder_status_t on_transact(AIBinder* binder, transaction_code_t code, const AParcel* in, AParcel* out) {
  int32_t value = 0;
  binder_status_t status = STATUS_UNKNOWN_TRANSACTION;
  if (code != FIRST_CALL_TRANSACTION) return status;
  status = AParcel_readInt32(in, &value);
  if (status != STATUS_OK) return status;
  return AParcel_writeInt32(out, 2 * value + *(const int32_t*)AIBinder_getUserData(binder));
}

AIBinder* adyton_c_object(int32_t number);
AIBinder* adyton_c_object(int32_t number) {
  static AIBinder_Class* clazz = NULL;
  int32_t* data = malloc(sizeof(*data));
  if (data == NULL) return NULL;
  if (clazz == NULL) clazz = AIBinder_Class_define("test.IFromC", on_create, on_destroy, on_transact);
  *data = number;
  AIBinder* binder = AIBinder_new(clazz, data);
  AIBinder_markVintfStability(binder);
  return binder;
}

int adyton_c_log(const char* text);
int adyton_c_log(const char* text) { return __android_log_print(ANDROID_LOG_INFO, "c", "%s", text); }

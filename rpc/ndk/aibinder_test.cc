#include "rpc/ndk/aibinder.h"

#include <android/binder_auto_utils.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "rpc/parcelable.h"

extern "C" AIBinder* adyton_c_object(int32_t number);

namespace adyton::rpc {
namespace {

using ndk::ScopedAIBinder_DeathRecipient;
using ndk::ScopedAIBinder_Weak;
using ndk::SpAIBinder;
using testing::ElementsAre;

struct Counts {
  int created = 0;
  int destroyed = 0;
  std::vector<std::string> dumped;
};
Counts counts;

AIBinder_Class* counting_class() {
  static AIBinder_Class* clazz = [] {
    AIBinder_Class* made = AIBinder_Class_define(
        "test.ICounting",
        [](void* args) {
          ++counts.created;
          return args;
        },
        [](void*) { ++counts.destroyed; },
        [](AIBinder*, transaction_code_t code, const AParcel* in, AParcel* out) -> binder_status_t {
          int32_t a = 0;
          int32_t b = 0;
          switch (code) {
            case FIRST_CALL_TRANSACTION:
              if (const auto status = AParcel_readInt32(in, &a); status != STATUS_OK) return status;
              if (const auto status = AParcel_readInt32(in, &b); status != STATUS_OK) return status;
              return AParcel_writeInt32(out, a + b);
            case FIRST_CALL_TRANSACTION + 1: return AParcel_writeInt32(const_cast<AParcel*>(in), 1);  // not allowed
            case FIRST_CALL_TRANSACTION + 2: return AParcel_writeInt32(out, static_cast<int32_t>(AIBinder_getCallingPid()));
            default: return STATUS_UNKNOWN_TRANSACTION;
          }
        });
    AIBinder_Class_setOnDump(made, [](AIBinder*, int fd, const char** args, uint32_t count) -> binder_status_t {
      counts.dumped.assign(args, args + count);
      return ::write(fd, "dump", 4) == 4 ? STATUS_OK : STATUS_UNKNOWN_ERROR;
    });
    return made;
  }();
  return clazz;
}

// Stands for an object of another process.
class FakeRemote : public Binder {
 public:
  Status transact(uint32_t code, const Parcel& data, Parcel* reply, uint32_t flags) override {
    return target->transact(code, data, reply, flags);
  }
  std::string interface_descriptor() override { return "test.ICounting"; }
  [[nodiscard]] bool is_alive() const override { return alive; }
  Reply<uint64_t> link_to_death(DeathRecipient recipient) override {
    if (!alive) return fail(TransportError::kDeadObject);
    recipients[next] = std::move(recipient);
    return next++;
  }
  bool unlink_to_death(uint64_t cookie) override { return recipients.erase(cookie) == 1; }
  void die() {
    alive = false;
    const auto told = std::exchange(recipients, {});
    for (const auto& [cookie, recipient] : told) recipient();
  }

  std::shared_ptr<Binder> target;
  bool alive = true;
  std::map<uint64_t, DeathRecipient> recipients;
  uint64_t next = 1;
};

class AIBinderTest : public testing::Test {
 protected:
  void SetUp() override { counts = {}; }
};

binder_status_t call_add(AIBinder* binder, int32_t a, int32_t b, int32_t* sum, transaction_code_t code = FIRST_CALL_TRANSACTION,
                         binder_flags_t flags = 0) {
  AParcel* in = nullptr;
  AParcel* out = nullptr;
  if (const auto status = AIBinder_prepareTransaction(binder, &in); status != STATUS_OK) return status;
  EXPECT_EQ(AParcel_writeInt32(in, a), STATUS_OK);
  EXPECT_EQ(AParcel_writeInt32(in, b), STATUS_OK);
  if (const auto status = AIBinder_transact(binder, code, &in, &out, flags); status != STATUS_OK) {
    EXPECT_EQ(out, nullptr);
    return status;
  }
  EXPECT_EQ(in, nullptr);
  const ndk::ScopedAParcel reply(out);
  return AParcel_readInt32(out, sum);
}

TEST_F(AIBinderTest, LivesAsLongAsItIsReferredTo) {
  AIBinder* binder = AIBinder_new(counting_class(), nullptr);
  EXPECT_EQ(AIBinder_debugGetRefCount(binder), 1);
  AIBinder_incStrong(binder);
  AIBinder_decStrong(binder);
  EXPECT_EQ(counts.destroyed, 0);
  std::shared_ptr<Binder> held = binder_of(binder);  // as a session holds it
  AIBinder_decStrong(binder);
  EXPECT_EQ(counts.destroyed, 0);
  // It may be taken up again, and is the same.
  const SpAIBinder again(ndk_object_of(held));
  EXPECT_EQ(again.get(), binder);
  held.reset();
  EXPECT_EQ(counts.destroyed, 0);
}

TEST_F(AIBinderTest, GoesWithItsLastReference) {
  { const SpAIBinder binder(AIBinder_new(counting_class(), nullptr)); }
  EXPECT_EQ(counts.created, 1);
  EXPECT_EQ(counts.destroyed, 1);
}

TEST_F(AIBinderTest, WeakReferencesDoNotHoldIt) {
  SpAIBinder binder(AIBinder_new(counting_class(), nullptr));
  const ScopedAIBinder_Weak weak(AIBinder_Weak_new(binder.get()));
  const ScopedAIBinder_Weak other(AIBinder_Weak_clone(weak.get()));
  EXPECT_EQ(weak.promote(), binder);
  EXPECT_EQ(other.promote(), binder);
  EXPECT_FALSE(AIBinder_Weak_lt(weak.get(), other.get()));
  EXPECT_FALSE(AIBinder_Weak_lt(other.get(), weak.get()));
  EXPECT_EQ(AIBinder_debugGetRefCount(binder.get()), 1);
  binder = nullptr;
  EXPECT_EQ(counts.destroyed, 1);
  EXPECT_EQ(weak.promote(), nullptr);
}

TEST_F(AIBinderTest, IsCalledInTheSameProcess) {
  const SpAIBinder binder(AIBinder_new(counting_class(), nullptr));
  int32_t result = 0;
  EXPECT_EQ(call_add(binder.get(), 40, 2, &result), STATUS_OK);
  EXPECT_EQ(result, 42);
  EXPECT_EQ(call_add(binder.get(), 0, 0, &result, FIRST_CALL_TRANSACTION + 9), STATUS_UNKNOWN_TRANSACTION);
  EXPECT_EQ(call_add(binder.get(), 0, 0, &result, LAST_CALL_TRANSACTION + 1), STATUS_UNKNOWN_TRANSACTION);
  EXPECT_EQ(call_add(binder.get(), 0, 0, &result, 0), STATUS_UNKNOWN_TRANSACTION);
  EXPECT_EQ(call_add(binder.get(), 0, 0, &result, FIRST_CALL_TRANSACTION, 2), STATUS_BAD_VALUE);
  EXPECT_EQ(call_add(binder.get(), 0, 0, &result, FIRST_CALL_TRANSACTION + 1), STATUS_INVALID_OPERATION)
      << "`in` is not to be written";
  EXPECT_EQ(call_add(binder.get(), 0, 0, &result, FIRST_CALL_TRANSACTION + 2), STATUS_OK);
  EXPECT_EQ(result, getpid());
  EXPECT_EQ(AIBinder_getCallingUid(), getuid());
  EXPECT_FALSE(AIBinder_isHandlingTransaction());
  EXPECT_FALSE(AIBinder_isRemote(binder.get()));
  EXPECT_TRUE(AIBinder_isAlive(binder.get()));
  EXPECT_EQ(AIBinder_ping(binder.get()), STATUS_OK);
}

TEST_F(AIBinderTest, OnewayCallsHaveAnEmptyReply) {
  const SpAIBinder binder(AIBinder_new(counting_class(), nullptr));
  int32_t result = 0;
  EXPECT_EQ(call_add(binder.get(), 1, 2, &result, FIRST_CALL_TRANSACTION, FLAG_ONEWAY), STATUS_NOT_ENOUGH_DATA);
}

TEST_F(AIBinderTest, ChecksTheTokenOfCalls) {
  const SpAIBinder binder(AIBinder_new(counting_class(), nullptr));
  Parcel data;
  data.write_interface_token("test.ISomethingElse");
  Parcel reply;
  EXPECT_EQ(binder_of(binder.get())->transact(kFirstCall, data, &reply).transport_error(), TransportError::kBadType);
}

TEST_F(AIBinderTest, ParcelsServeTheObjectTheyWerePreparedFor) {
  const SpAIBinder one(AIBinder_new(counting_class(), nullptr));
  const SpAIBinder two(AIBinder_new(counting_class(), nullptr));
  AParcel* in = nullptr;
  AParcel* out = nullptr;
  ASSERT_EQ(AIBinder_prepareTransaction(one.get(), &in), STATUS_OK);
  EXPECT_EQ(AIBinder_transact(two.get(), FIRST_CALL_TRANSACTION, &in, &out, 0), STATUS_BAD_VALUE);
  EXPECT_EQ(in, nullptr);
  EXPECT_EQ(AIBinder_transact(one.get(), FIRST_CALL_TRANSACTION, &in, &out, 0), STATUS_UNEXPECTED_NULL);
  EXPECT_EQ(AIBinder_prepareTransaction(nullptr, &in), STATUS_UNEXPECTED_NULL);
}

TEST_F(AIBinderTest, ObjectsInCWork) {
  const SpAIBinder binder(adyton_c_object(5));
  AParcel* in = nullptr;
  AParcel* out = nullptr;
  ASSERT_EQ(AIBinder_prepareTransaction(binder.get(), &in), STATUS_OK);
  ASSERT_EQ(AParcel_writeInt32(in, 10), STATUS_OK);
  ASSERT_EQ(AIBinder_transact(binder.get(), FIRST_CALL_TRANSACTION, &in, &out, 0), STATUS_OK);
  const ndk::ScopedAParcel reply(out);
  int32_t result = 0;
  EXPECT_EQ(AParcel_readInt32(out, &result), STATUS_OK);
  EXPECT_EQ(result, 25);
}

TEST_F(AIBinderTest, Dumps) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  const SpAIBinder binder(AIBinder_new(counting_class(), nullptr));
  const char* arguments[] = {"-a", "all"};
  EXPECT_EQ(AIBinder_dump(binder.get(), writer.get(), arguments, 2), STATUS_OK);
  EXPECT_THAT(counts.dumped, ElementsAre("-a", "all"));
  char text[4];
  ASSERT_EQ(::read(reader.get(), text, 4), 4);
  EXPECT_EQ(std::string_view(text, 4), "dump");
}

TEST_F(AIBinderTest, ExtensionsAreFound) {
  const SpAIBinder binder(AIBinder_new(counting_class(), nullptr));
  SpAIBinder extension;
  EXPECT_EQ(AIBinder_getExtension(binder.get(), extension.getR()), STATUS_OK);
  EXPECT_EQ(extension, nullptr);
  const SpAIBinder other(AIBinder_new(counting_class(), nullptr));
  EXPECT_EQ(AIBinder_setExtension(binder.get(), other.get()), STATUS_OK);
  EXPECT_EQ(AIBinder_getExtension(binder.get(), extension.getR()), STATUS_OK);
  EXPECT_EQ(extension, other);
  EXPECT_EQ(AIBinder_setExtension(binder.get(), nullptr), STATUS_UNEXPECTED_NULL);
  const SpAIBinder remote(ndk_object_of(std::make_shared<FakeRemote>()));
  EXPECT_EQ(AIBinder_setExtension(remote.get(), other.get()), STATUS_INVALID_OPERATION);
}

TEST_F(AIBinderTest, RemoteObjectsAreThemselves) {
  auto remote = std::make_shared<FakeRemote>();
  SpAIBinder binder(ndk_object_of(remote));
  EXPECT_EQ(SpAIBinder(ndk_object_of(remote)), binder);
  EXPECT_EQ(binder_of(binder.get()), remote);
  EXPECT_TRUE(AIBinder_isRemote(binder.get()));
  EXPECT_EQ(AIBinder_getUserData(binder.get()), nullptr);
  const ScopedAIBinder_Weak weak(AIBinder_Weak_new(binder.get()));
  binder = nullptr;
  EXPECT_EQ(remote.use_count(), 1);
  binder = weak.promote();  // the remote object is still there
  EXPECT_EQ(binder_of(binder.get()), remote);
  binder = nullptr;
  remote.reset();
  EXPECT_EQ(weak.promote(), nullptr);
}

TEST_F(AIBinderTest, ReferencesAreCountedOnManyThreads) {
  const auto remote = std::make_shared<FakeRemote>();
  SpAIBinder local(AIBinder_new(counting_class(), nullptr));
  const ScopedAIBinder_Weak weak(AIBinder_Weak_new(local.get()));
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 1000; ++round) {
        const SpAIBinder strong = weak.promote();
        EXPECT_EQ(strong, local);
        const SpAIBinder one(ndk_object_of(remote));  // made and dropped by all at once
        const SpAIBinder two(ndk_object_of(remote));
        EXPECT_EQ(one, two);
        EXPECT_EQ(binder_of(one.get()), remote);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(AIBinder_debugGetRefCount(local.get()), 1);
  local = nullptr;
  EXPECT_EQ(counts.destroyed, 1);
  EXPECT_EQ(remote.use_count(), 1);
}

TEST_F(AIBinderTest, RemoteObjectsNeedAClass) {
  const SpAIBinder local(AIBinder_new(counting_class(), nullptr));
  const auto remote = std::make_shared<FakeRemote>();
  remote->target = binder_of(local.get());
  const SpAIBinder binder(ndk_object_of(remote));
  int32_t result = 0;
  EXPECT_EQ(call_add(binder.get(), 1, 2, &result), STATUS_INVALID_OPERATION);
  static AIBinder_Class* other = AIBinder_Class_define(
      "test.IOther", [](void* args) { return args; }, [](void*) {},
      [](AIBinder*, transaction_code_t, const AParcel*, AParcel*) -> binder_status_t { return STATUS_OK; });
  EXPECT_FALSE(AIBinder_associateClass(binder.get(), other));
  EXPECT_EQ(AIBinder_getClass(binder.get()), nullptr);
  EXPECT_TRUE(AIBinder_associateClass(binder.get(), counting_class()));
  EXPECT_TRUE(AIBinder_associateClass(binder.get(), counting_class()));
  EXPECT_FALSE(AIBinder_associateClass(binder.get(), other));
  EXPECT_EQ(AIBinder_getClass(binder.get()), counting_class());
  EXPECT_STREQ(AIBinder_Class_getDescriptor(AIBinder_getClass(binder.get())), "test.ICounting");
  EXPECT_EQ(call_add(binder.get(), 1, 2, &result), STATUS_OK);
  EXPECT_EQ(result, 3);
}

TEST_F(AIBinderTest, ObjectsAreOrdered) {
  const SpAIBinder one(AIBinder_new(counting_class(), nullptr));
  const SpAIBinder two(AIBinder_new(counting_class(), nullptr));
  EXPECT_NE(one < two, two < one);
  EXPECT_FALSE(one < one);
  EXPECT_LT(SpAIBinder(), one);
}

TEST_F(AIBinderTest, NullIsRefused) {
  EXPECT_EQ(AIBinder_ping(nullptr), STATUS_UNEXPECTED_NULL);
  EXPECT_FALSE(AIBinder_isAlive(nullptr));
  EXPECT_FALSE(AIBinder_isRemote(nullptr));
  EXPECT_FALSE(AIBinder_associateClass(nullptr, counting_class()));
  EXPECT_EQ(AIBinder_Weak_new(nullptr), nullptr);
  EXPECT_EQ(AIBinder_Weak_promote(nullptr), nullptr);
  EXPECT_EQ(AIBinder_debugGetRefCount(nullptr), -1);
  EXPECT_EQ(AIBinder_DeathRecipient_new(nullptr), nullptr);
  EXPECT_EQ(AIBinder_Class_define(nullptr, nullptr, nullptr, nullptr), nullptr);
}

// --- Death ---

struct Death {
  int died = 0;
  int unlinked = 0;
};

ScopedAIBinder_DeathRecipient counting_recipient() {
  ScopedAIBinder_DeathRecipient recipient(AIBinder_DeathRecipient_new([](void* cookie) { ++static_cast<Death*>(cookie)->died; }));
  AIBinder_DeathRecipient_setOnUnlinked(recipient.get(), [](void* cookie) { ++static_cast<Death*>(cookie)->unlinked; });
  return recipient;
}

TEST_F(AIBinderTest, DeathIsToldOnce) {
  const auto remote = std::make_shared<FakeRemote>();
  const SpAIBinder binder(ndk_object_of(remote));
  const auto recipient = counting_recipient();
  Death one;
  Death two;
  ASSERT_EQ(AIBinder_linkToDeath(binder.get(), recipient.get(), &one), STATUS_OK);
  ASSERT_EQ(AIBinder_linkToDeath(binder.get(), recipient.get(), &two), STATUS_OK);
  ASSERT_EQ(AIBinder_unlinkToDeath(binder.get(), recipient.get(), &two), STATUS_OK);
  EXPECT_EQ(two.unlinked, 1);
  EXPECT_EQ(AIBinder_unlinkToDeath(binder.get(), recipient.get(), &two), STATUS_NAME_NOT_FOUND);
  EXPECT_EQ(one.unlinked, 0);
  remote->die();
  EXPECT_FALSE(AIBinder_isAlive(binder.get()));
  EXPECT_EQ(one.died, 1);
  EXPECT_EQ(one.unlinked, 1);
  EXPECT_EQ(two.died, 0);
  EXPECT_EQ(AIBinder_unlinkToDeath(binder.get(), recipient.get(), &one), STATUS_NAME_NOT_FOUND);

  Death late;
  EXPECT_EQ(AIBinder_linkToDeath(binder.get(), recipient.get(), &late), STATUS_DEAD_OBJECT);
  EXPECT_EQ(late.died, 0);
  EXPECT_EQ(late.unlinked, 1);
}

TEST_F(AIBinderTest, DeletedRecipientsHearNothing) {
  const auto remote = std::make_shared<FakeRemote>();
  const SpAIBinder binder(ndk_object_of(remote));
  Death death;
  {
    const auto recipient = counting_recipient();
    ASSERT_EQ(AIBinder_linkToDeath(binder.get(), recipient.get(), &death), STATUS_OK);
  }
  EXPECT_EQ(death.unlinked, 1);
  remote->die();
  EXPECT_EQ(death.died, 0);
}

TEST_F(AIBinderTest, RecipientsAreUnlinkedWhenTheObjectGoes) {
  Death death;
  const auto recipient = counting_recipient();
  {
    const SpAIBinder binder(ndk_object_of(std::make_shared<FakeRemote>()));
    ASSERT_EQ(AIBinder_linkToDeath(binder.get(), recipient.get(), &death), STATUS_OK);
  }
  EXPECT_EQ(death.died, 0);
  EXPECT_EQ(death.unlinked, 1);
}

TEST_F(AIBinderTest, LocalObjectsDoNotDie) {
  const SpAIBinder binder(AIBinder_new(counting_class(), nullptr));
  const auto recipient = counting_recipient();
  Death death;
  EXPECT_EQ(AIBinder_linkToDeath(binder.get(), recipient.get(), &death), STATUS_INVALID_OPERATION);
  EXPECT_EQ(death.unlinked, 1);
  EXPECT_EQ(AIBinder_unlinkToDeath(binder.get(), recipient.get(), &death), STATUS_NAME_NOT_FOUND);
}

TEST(AStatus, SaysWhatItWasMadeOf) {
  using ndk::ScopedAStatus;
  EXPECT_TRUE(ScopedAStatus::ok().isOk());
  EXPECT_FALSE(ScopedAStatus().isOk());
  const auto exception = ScopedAStatus::fromExceptionCodeWithMessage(EX_SECURITY, "no");
  EXPECT_FALSE(exception.isOk());
  EXPECT_EQ(exception.getExceptionCode(), EX_SECURITY);
  EXPECT_EQ(exception.getStatus(), STATUS_OK);
  EXPECT_STREQ(exception.getMessage(), "no");
  EXPECT_EQ(exception.getDescription(), "kSecurity: no");
  const auto service = ScopedAStatus::fromServiceSpecificErrorWithMessage(7, "seven");
  EXPECT_EQ(service.getExceptionCode(), EX_SERVICE_SPECIFIC);
  EXPECT_EQ(service.getServiceSpecificError(), 7);
  EXPECT_EQ(ScopedAStatus::fromServiceSpecificError(8).getServiceSpecificError(), 8);
  const auto status = ScopedAStatus::fromStatus(STATUS_DEAD_OBJECT);
  EXPECT_EQ(status.getExceptionCode(), EX_TRANSACTION_FAILED);
  EXPECT_EQ(status.getStatus(), STATUS_DEAD_OBJECT);
  EXPECT_STREQ(status.getMessage(), "");
  EXPECT_TRUE(ScopedAStatus::fromStatus(STATUS_OK).isOk());
  EXPECT_EQ(ScopedAStatus::fromExceptionCode(EX_ILLEGAL_STATE).getExceptionCode(), EX_ILLEGAL_STATE);
  EXPECT_EQ(ScopedAStatus::fromExceptionCode(1234).getExceptionCode(), EX_TRANSACTION_FAILED);
}

}  // namespace
}  // namespace adyton::rpc

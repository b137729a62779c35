// AIBinder_DeathRecipient: one callback, linked to any number of objects.
#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "rpc/ndk/aibinder.h"
#include "rpc/ndk/astatus.h"

using adyton::rpc::Binder;
using adyton::rpc::ndk_status;

namespace {

// One AIBinder_linkToDeath(). The runtime's callback owns it; when it goes, nothing will be told with the cookie any more.
struct Link {
  Link(AIBinder_DeathRecipient_onBinderUnlinked callback, void* argument) : on_unlinked(callback), cookie(argument) {}
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() {
    if (on_unlinked != nullptr) on_unlinked(cookie);
  }

  const AIBinder_DeathRecipient_onBinderUnlinked on_unlinked;
  void* const cookie;
};

struct Entry {
  std::weak_ptr<Binder> binder;
  std::weak_ptr<Link> link;
  void* cookie;
  uint64_t id;  // the runtime's
};

bool same(const std::weak_ptr<Binder>& a, const std::shared_ptr<Binder>& b) { return !a.owner_before(b) && !b.owner_before(a); }

}  // namespace

struct AIBinder_DeathRecipient {
  const AIBinder_DeathRecipient_onBinderDied on_died;
  std::mutex mutex;
  AIBinder_DeathRecipient_onBinderUnlinked on_unlinked = nullptr;  // guarded by mutex
  std::vector<Entry> entries;                                      // guarded by mutex
};

AIBinder_DeathRecipient* AIBinder_DeathRecipient_new(AIBinder_DeathRecipient_onBinderDied onBinderDied) {
  return onBinderDied != nullptr ? new AIBinder_DeathRecipient{.on_died = onBinderDied} : nullptr;
}

void AIBinder_DeathRecipient_setOnUnlinked(AIBinder_DeathRecipient* recipient,
                                           AIBinder_DeathRecipient_onBinderUnlinked onUnlinked) {
  if (recipient == nullptr) return;
  const std::lock_guard lock(recipient->mutex);
  recipient->on_unlinked = onUnlinked;
}

void AIBinder_DeathRecipient_delete(AIBinder_DeathRecipient* recipient) {
  if (recipient == nullptr) return;
  std::vector<Entry> entries;
  {
    const std::lock_guard lock(recipient->mutex);
    entries.swap(recipient->entries);
  }
  for (const Entry& entry : entries) {
    if (const auto binder = entry.binder.lock()) binder->unlink_to_death(entry.id);
  }
  delete recipient;
}

binder_status_t AIBinder_linkToDeath(AIBinder* binder, AIBinder_DeathRecipient* recipient, void* cookie) {
  if (binder == nullptr || recipient == nullptr) return STATUS_UNEXPECTED_NULL;
  const auto object = binder->binder();
  std::shared_ptr<Link> link;
  {
    const std::lock_guard lock(recipient->mutex);
    link = std::make_shared<Link>(recipient->on_unlinked, cookie);
  }
  const std::weak_ptr<Link> weak = link;
  // The recipient may be deleted while the callback runs, so that knows only what it needs.
  const auto id = object->link_to_death([on_died = recipient->on_died, held = std::move(link)] { on_died(held->cookie); });
  if (!id) return ndk_status(id.error());
  const std::lock_guard lock(recipient->mutex);
  std::erase_if(recipient->entries, [](const Entry& entry) { return entry.link.expired(); });
  recipient->entries.push_back({object, weak, cookie, *id});
  return STATUS_OK;
}

binder_status_t AIBinder_unlinkToDeath(AIBinder* binder, AIBinder_DeathRecipient* recipient, void* cookie) {
  if (binder == nullptr || recipient == nullptr) return STATUS_UNEXPECTED_NULL;
  const auto object = binder->binder();
  uint64_t id = 0;
  {
    const std::lock_guard lock(recipient->mutex);
    const auto found = std::ranges::find_if(
        recipient->entries, [&](const Entry& entry) { return entry.cookie == cookie && same(entry.binder, object); });
    if (found == recipient->entries.end()) return STATUS_NAME_NOT_FOUND;
    id = found->id;
    recipient->entries.erase(found);
  }
  return object->unlink_to_death(id) ? STATUS_OK : STATUS_NAME_NOT_FOUND;
}

// Between the NDK's objects and the runtime's: how a service that is written against the NDK becomes the root of a Server, and
// how the root of a Session becomes an object for the NDK.
//
//   server.set_root(binder_of(service->asBinder().get()));
//   auto foo = IFoo::fromBinder(ndk::SpAIBinder(ndk_object_of(root)));
#pragma once
#include <memory>

#include "rpc/binder.h"
#include "rpc/ndk/include/android/binder_ibinder.h"

namespace adyton::rpc {

// The runtime's object; null for null.
std::shared_ptr<Binder> binder_of(AIBinder* object);

// The NDK's object for one of the runtime's, with one reference, which is the caller's to drop; null for null. The same object is
// the same pointer as long as anybody refers to that.
AIBinder* ndk_object_of(const std::shared_ptr<Binder>& binder);

}  // namespace adyton::rpc

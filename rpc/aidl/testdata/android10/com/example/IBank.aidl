package com.example;

import com.example.Account;
import com.example.IListener;

/** What Android 10's compiler knows. */
interface IBank {
  const int MAXIMUM = 100;
  const int HEX = 0x1f;
  const String NAME = "bank";
  void open(in Account account);
  int balance(String name, boolean exact);
  long total(in long[] amounts, out int[] counts, inout byte[] data);
  @nullable Account find(in @nullable String name);
  @utf8InCpp String describe(@utf8InCpp String name);
  List<String> names(in List<String> filter, out List<String> rest);
  oneway void subscribe(IListener listener, IBinder token);
  ParcelFileDescriptor statement(in ParcelFileDescriptor template);
  char grade(char a, in char[] b);
  float rate(float a, double b, in double[] c, in boolean[] d);
  Account[] all(in Account[] some, out Account[] others);
  @nullable IBinder token(in @nullable IBinder old);
}

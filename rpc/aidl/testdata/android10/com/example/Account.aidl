package com.example;

import com.example.IListener;

parcelable Account {
  int id = 7;
  long amount;
  byte small = -3;
  boolean open = true;
  char letter = 'a';
  float rate = 1.25f;
  double exact = 2.5;
  String owner = "nobody";
  @nullable String note;
  int[] history = {1, 2, 3};
  String[] tags;
  Account[] children;
  List<String> aliases;
  IBinder token;
  IListener listener;
}

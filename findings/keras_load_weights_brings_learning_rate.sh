#!/usr/bin/env bash
# Library:   Keras 3.15.1 on torch 2.13.0, Model.load_weights.
# Guess:     It loads what the name says. The learning rate that the model was compiled with, or that was set since,
#            stays: it is no weight.
# Behaviour: The file also contains the optimizer, with its learning rate, and loading sets both. Who saves the weights,
#            tries a rate, and returns by load_weights, trains on at the old rate, and so does a model that was compiled
#            with another one. If only one of the two optimizers has made a step, they have different
#            numbers of variables, and the rate stays, with a warning. So it depends on whether fit() came before which
#            rate one trains at. Neither docstring mentions the optimizer; save_weights says "all weights", and
#            load_weights speaks of layers.
# Seen:      file before fit(), model before fit(): compiled with 0.05, then 0.001
#            file before fit(), model after fit():  compiled with 0.05, then 0.05
#            file after fit(), model before fit():  compiled with 0.05, then 0.05
#            file after fit(), model after fit():   compiled with 0.05, then 0.001
#            the model of the file itself:          set to 0.05, then 0.001
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv venv
venv/bin/pip install -q --no-compile torch==2.13.0 numpy==2.4.6 keras==3.15.1
KERAS_BACKEND=torch venv/bin/python -W ignore - <<'EOF'
import keras
import numpy as np

FILE = "model.weights.h5"
inputs = np.random.default_rng(0).normal(size=(8, 2))
targets = inputs.sum(1, keepdims=True)


def make(rate, fitted):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(rate), "mse")
    if fitted:
        model.fit(inputs, targets, verbose=0)
    return model


def loaded(model):
    model.load_weights(FILE)
    return round(float(model.optimizer.learning_rate), 4)


seen = {}
for saved in (False, True):
    first = make(0.001, saved)
    first.save_weights(FILE)
    for fitted in (False, True):
        seen[saved, fitted] = loaded(make(0.05, fitted))
        words = ["before fit()", "after fit()"]
        label = f"file {words[saved]}, model {words[fitted]}:"
        print(f"{label:38} compiled with 0.05, then", seen[saved, fitted])
first.optimizer.learning_rate = 0.05
same = loaded(first)
print(f"{'the model of the file itself:':38} set to 0.05, then", same)
assert seen[False, True] == seen[True, False] == 0.05
assert seen[False, False] == seen[True, True] == same == 0.001, "load_weights leaves the learning rate alone now"
EOF

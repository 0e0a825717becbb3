"""Real data, ready to train on: sets known by name, own ``.npz`` files, own arrays.

Besides, recorded events (N-MNIST, SHD, AEDAT4, plain columns) and generated sets (Yin-Yang, Randman).

Every set comes out as a `Dataset` of training, validation and test samples, split the same way every time,
whatever the seed of the run. Values stay in the compact form in which they are stored (``uint8``, or
``float32``); ``x * scale`` is what a network sees.
"""

from snnsim.datasets.catalog import DataFile as DataFile
from snnsim.datasets.catalog import DatasetInfo as DatasetInfo
from snnsim.datasets.fetch import fetch as fetch
from snnsim.datasets.inputs import Inputs as Inputs
from snnsim.datasets.inputs import Wanted as Wanted
from snnsim.datasets.inputs import load_inputs as load_inputs
from snnsim.datasets.inputs import load_test as load_test
from snnsim.datasets.loading import check_binning as check_binning
from snnsim.datasets.loading import from_arrays as from_arrays
from snnsim.datasets.loading import known_sizes as known_sizes
from snnsim.datasets.loading import load as load
from snnsim.datasets.locate import info as info
from snnsim.datasets.locate import list_datasets as list_datasets
from snnsim.datasets.locate import places as places
from snnsim.datasets.recordings import Binning as Binning
from snnsim.datasets.recordings import Recordings as Recordings
from snnsim.datasets.samples import Dataset as Dataset
from snnsim.datasets.samples import Samples as Samples
